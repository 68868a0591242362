import { request } from "node:http";

const CALL_MS_MAX = 120_000;

/** One call of an engine's HTTP API: what it answered, parsed. @throws Error when the status is not 2xx or 304. */
export async function engineCall(socketPath: string, method: string, path: string, body?: object): Promise<unknown> {
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const signal = AbortSignal.timeout(CALL_MS_MAX);
    const outgoing = request({ socketPath, method, path, headers, agent: false, signal }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
  if ((status < 200 || status > 299) && status !== 304) throw new Error(`${method} ${path}: ${status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** Works off a list, `width` at a time, in order. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
