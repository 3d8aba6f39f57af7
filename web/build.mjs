// Bundle the viewer: `node build.mjs [FOLDER]`; `--tests` bundles the tests into build/test instead.
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const LIMIT = 150_000; // bytes of JavaScript
const common = { bundle: true, target: "es2022", logLevel: "warning", absWorkingDir: here, charset: "utf8" };

if (process.argv.includes("--tests")) {
  rmSync(join(here, "build/test"), { recursive: true, force: true });
  const tests = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...common,
    entryPoints: tests.map((name) => join("test", name)),
    outdir: "build/test",
    outExtension: { ".js": ".mjs" },
    platform: "node",
    format: "esm",
  });
} else {
  const folder = process.argv[2] ?? join(here, "../torrentnet/lab/report/assets");
  const result = await build({
    ...common,
    entryPoints: { viewer: "src/main.ts" },
    outdir: folder,
    minify: true,
    format: "iife",
    globalName: "torrentnetViewer",
    metafile: true,
    legalComments: "none",
  });
  await build({ ...common, entryPoints: { viewer: "src/style/viewer.css" }, outdir: folder, minify: true });
  for (const [name, output] of Object.entries(result.metafile.outputs)) {
    if (output.bytes > LIMIT) {
      console.error(`${name} has ${output.bytes} bytes; all JavaScript together may have ${LIMIT}. Make it smaller.`);
      process.exitCode = 1;
    }
  }
}
