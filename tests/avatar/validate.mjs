// Prints a report of Khronos' glTF validator for each file, one JSON a line.
import { readFileSync } from "node:fs";
import validator from "gltf-validator";

for (const file of process.argv.slice(2)) {
  const data = new Uint8Array(readFileSync(file));
  const report = await validator.validateBytes(data, { uri: file });
  console.log(JSON.stringify(report));
}
