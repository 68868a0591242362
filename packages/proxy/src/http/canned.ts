/** The answers the proxy gives itself. Each says why in `x-smartstack-reason`, unless that is switched off. */
export const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

const REASON_CHARS_MAX = 200;

export interface CannedOptions {
  readonly status: number;
  /** In words, for people; anything that cannot stand in a header is replaced. undefined = nobody's business. */
  readonly reason: string | undefined;
  readonly close: boolean;
  /** Answering HEAD: the headers of the answer without its body. */
  readonly headOnly: boolean;
  /** With 429 and 503: seconds; default 1. */
  readonly retryAfterS?: number;
}

export function cannedResponse(options: CannedOptions): Buffer {
  const { status, close, headOnly, retryAfterS = 1 } = options;
  const reason = options.reason?.replace(/[^\x20-\x7e]/g, "?").slice(0, REASON_CHARS_MAX);
  const body = `${status} ${STATUS_TEXT[status] ?? "Error"}${reason === undefined ? "" : `: ${reason}`}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? "Error"}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "Cache-Control: no-store",
  ];
  if (reason !== undefined) lines.push(`X-Smartstack-Reason: ${reason}`);
  if (status === 429 || status === 503) lines.push(`Retry-After: ${retryAfterS}`);
  if (status === 405) lines.push("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  if (close) lines.push("Connection: close");
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${headOnly ? "" : body}`, "latin1");
}
