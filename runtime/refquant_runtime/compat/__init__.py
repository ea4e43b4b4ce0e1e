"""The Python APIs of other runtimes, for scripts that are written for them: change one import.

>>> from refquant_runtime.compat import onnxruntime, tflite
>>> onnxruntime.get_available_providers(), tflite.Interpreter.__name__
(['CPUExecutionProvider'], 'Interpreter')
"""
