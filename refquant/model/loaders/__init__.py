"""Real models as graphs: one file format and architecture a module, weights under their own names.

tensors         what the loaders share: a file's tensors, taken by name and shape; errors
safetensors     the container most weights come in
ctranslate2     the container of CTranslate2
layers          linear, normalization, attention: the nodes of a layer
minilm          MiniLM, a sentence encoder (BERT): safetensors; bert_config: what these do not say
smollm2_gguf    SmolLM2, a chat model (Llama): GGUF, dequantized
g2p_gru         letters to phonemes, GRU encoder and decoder: npz
whisper_ct2     Whisper tiny.en, speech to text: CTranslate2; log_mel is its ear
sources         which of these a path is for; samples*: texts and sound, as what a graph takes
text            tokens, by the library `tokenizers` (the extra refquant[text])
"""
