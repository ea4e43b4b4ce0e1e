// Read texts aloud with Flite, compiled to WebAssembly: the same sound on every machine.
//
// node --expose-gc say.cjs FLITE.wasm FOLDER < jobs.json        jobs: [{"voice", "text", "file"}, ...]
//
// The program sees FOLDER, nothing else of the disk, and no network.
const fs = require("node:fs");
const { WASI } = require("node:wasi");

const [program, folder] = process.argv.slice(2);
const flite = new WebAssembly.Module(fs.readFileSync(program));
for (const { voice, text, file } of JSON.parse(fs.readFileSync(0, "utf8"))) {
  const args = ["flite", "-voice", voice, "-t", text, "-o", `/out/${file}`];
  const wasi = new WASI({ version: "preview1", args, env: {}, preopens: { "/out": folder }, returnOnExit: true });
  const code = wasi.start(new WebAssembly.Instance(flite, wasi.getImportObject()));
  globalThis.gc(); // each instance has a memory of its own, and Node is in no hurry
  if (code) throw new Error(`flite: exit ${code} on ${file}`);
}
