import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { command } from "./command.ts";

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Where `cert` lies: it is its own authority. */
  readonly file: string;
  remove(): void;
}

/** A self-signed certificate for a name, made by openssl, valid for a day. */
export async function makeCertificate(name: string): Promise<Certificate> {
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-certificate-"));
  const [key, file] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  const algorithm = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await command("openssl", ["req", "-x509", "-days", "1", ...algorithm, ...subject, "-keyout", key, "-out", file]);
  return {
    key: readFileSync(key, "utf8"),
    cert: readFileSync(file, "utf8"),
    file,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
