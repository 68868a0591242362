import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Certificates {
  /** Files of an authority, and of a server and a client that it vouches for. */
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
  /** An authority that vouches for neither. */
  readonly stranger: string;
  remove(): void;
}

/** Made anew for each use, by openssl; the server's is for `host`. */
export async function makeCertificates(host: `IP:${string}` | `DNS:${string}`): Promise<Certificates> {
  const folder = mkdtempSync(path.join(tmpdir(), "certificates-"));
  const file = (name: string): string => path.join(folder, name);
  const openssl = (...words: string[]): Promise<unknown> => run("openssl", words, { cwd: folder, timeout: 20_000 });
  const request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const authority = async (name: string): Promise<void> => {
    const subject = ["-subj", `/CN=${name}`, "-days", "2"];
    await openssl(...request, "-x509", ...subject, "-keyout", `${name}.key`, "-out", `${name}.pem`);
  };
  const signed = async (name: string, extensions: string): Promise<{ readonly cert: string; readonly key: string }> => {
    writeFileSync(file(`${name}.ext`), extensions);
    await openssl(...request, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    await openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...by,
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    );
    return { cert: file(`${name}.pem`), key: file(`${name}.key`) };
  };
  try {
    await authority("ca");
    await authority("stranger");
    const server = await signed("server", `subjectAltName=${host}\nextendedKeyUsage=serverAuth\n`);
    const client = await signed("client", "extendedKeyUsage=clientAuth\n");
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    return { ca: file("ca.pem"), server, client, stranger: file("stranger.pem"), remove };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
