import { isIP, type Server } from "node:net";
import { getSystemErrorName } from "node:util";
import { carve, READ_BYTES } from "./memory.ts";
import type { ListenAddress } from "./snapshot.ts";

/**
 * The stream handles underneath net.Socket. This is the one file that leans on Node's internals: what is used of them is
 * described here and looked for at start, and where anything is missing socket-wire.ts does the work.
 */
export interface StreamHandle {
  onread: () => void;
  readStart(): number;
  readStop(): number;
  /** Reads land here, instead of in memory of their own. */
  useUserBuffer(memory: Uint8Array): void;
  /** Writes at once what the kernel takes; `request` is only used for the rest, which is read from `bytes` later. */
  writeBuffer(request: object, bytes: Uint8Array): number;
  shutdown(request: object): number;
  close(done: () => void): void;
  reset?(done: () => void): number;
  getpeername?(out: HandleName): number;
  getsockname?(out: HandleName): number;
  setNoDelay?(on: boolean): number;
  setKeepAlive?(on: boolean, delaySeconds: number): number;
}

/** Filled by the handle. */
export interface HandleName {
  address?: string;
  port?: number;
}

interface TcpHandle extends StreamHandle {
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  connect(request: object, address: string, port: number): number;
  connect6(request: object, address: string, port: number): number;
}

interface PipeHandle extends StreamHandle {
  bind(path: string): number;
}

/** Passed to the handle for one operation that ends later. */
interface Request {
  oncomplete?: (status: number) => void;
  /** Keeps what is written from being collected. */
  bytes?: Uint8Array;
}

interface Internals {
  readonly WriteWrap: new () => Request;
  readonly ShutdownWrap: new () => Request;
  readonly TCPConnectWrap: new () => Request;
  readonly TCP: new (type: number) => TcpHandle;
  readonly Pipe: new (type: number) => PipeHandle;
  readonly clientType: number;
  readonly serverType: number;
  readonly pipeServerType: number;
  /** Results of the last operation on any handle, at the places below. */
  readonly state: Int32Array;
  readonly readBytes: number;
  readonly wroteLater: number;
}

interface ListeningHandle extends StreamHandle {
  onconnection: (status: number, handle: StreamHandle | undefined) => void;
}

/** What `readCount` says when the other end has ended. */
export const EOF = -4095;

const internals: Internals | undefined = probe();
let spareWrite: Request | undefined;

/** Every handle reads into it: what must outlive the read is copied. */
export const READ_MEMORY = carve(internals === undefined ? 0 : READ_BYTES).bytes;

/** Are the handles there, as this file knows them? Linux only, where accepted sockets inherit the listener's options. */
export const handlesAvailable: boolean = internals !== undefined;

let allowed = true;

/** For tests and benchmarks: `false` leaves the data path to Node's public API from the next connection on. */
export function useHandles(use: boolean): void {
  allowed = use;
}

function probe(): Internals | undefined {
  const binding = (process as { binding?: (name: string) => Record<string, unknown> }).binding;
  if (process.platform !== "linux" || binding === undefined) return undefined;
  try {
    const stream = binding.call(process, "stream_wrap");
    const tcp = binding.call(process, "tcp_wrap");
    const pipe = binding.call(process, "pipe_wrap");
    const found = {
      WriteWrap: stream.WriteWrap,
      ShutdownWrap: stream.ShutdownWrap,
      TCPConnectWrap: tcp.TCPConnectWrap,
      TCP: tcp.TCP,
      Pipe: pipe.Pipe,
      clientType: (tcp.constants as { SOCKET?: unknown } | undefined)?.SOCKET,
      serverType: (tcp.constants as { SERVER?: unknown } | undefined)?.SERVER,
      pipeServerType: (pipe.constants as { SERVER?: unknown } | undefined)?.SERVER,
      state: stream.streamBaseState,
      readBytes: stream.kReadBytesOrError,
      wroteLater: stream.kLastWriteWasAsync,
    } as Internals;
    return isWhole(found) ? found : undefined;
  } catch {
    // Refused, by a permission model or a later Node: the public API it is.
    return undefined;
  }
}

function isWhole(found: Internals): boolean {
  const { WriteWrap, ShutdownWrap, TCPConnectWrap, TCP, Pipe, clientType, state, readBytes, wroteLater } = found;
  const numbers = [clientType, found.serverType, found.pipeServerType, readBytes, wroteLater].every(Number.isInteger);
  if (![WriteWrap, ShutdownWrap, TCPConnectWrap, TCP, Pipe].every((each) => typeof each === "function") || !numbers)
    return false;
  if (!(state instanceof Int32Array)) return false;
  const handle = new TCP(clientType) as unknown as Record<string, unknown>;
  const methods = ["readStart", "readStop", "useUserBuffer", "writeBuffer", "shutdown", "close", "reset", "connect"];
  const whole = [...methods, "connect6", "bind", "bind6", "getpeername", "getsockname"].every(
    (name) => typeof handle[name] === "function",
  );
  (handle as unknown as StreamHandle).close(() => undefined);
  return whole;
}

/**
 * Takes the connections of a listening server as handles, before a socket is made of each. False when it cannot, and
 * the server goes on as it is.
 */
export function takeHandles(server: Server, onHandle: (handle: StreamHandle) => void): boolean {
  const listening = (server as unknown as { _handle?: ListeningHandle | null })._handle;
  if (!allowed || internals === undefined || typeof listening?.onconnection !== "function") return false;
  // Inherited by what it accepts, which saves each connection two calls into the kernel.
  listening.setNoDelay?.(true);
  listening.setKeepAlive?.(true, 0);
  const failed = listening.onconnection;
  listening.onconnection = function (status, handle) {
    if (status !== 0 || handle === undefined) failed.call(this, status, handle);
    else onHandle(handle);
  };
  return true;
}

/**
 * A socket bound to an address (an IP) or path, that does not listen yet: it does so once a server listens on it, here or in
 * a process that it is sent to, and goes on for as long as any process holds it. Undefined where there are no handles.
 * @throws the system's error
 */
export function boundHandle(address: ListenAddress): StreamHandle | undefined {
  if (internals === undefined) return undefined;
  if ("path" in address) {
    const pipe = new internals.Pipe(internals.pipeServerType);
    return whenBound(pipe, pipe.bind(address.path));
  }
  const { host, port } = address;
  const handle = new internals.TCP(internals.serverType);
  const status = isIP(host) === 6 ? handle.bind6(host, port, 0) : handle.bind(host, port);
  // An address in use is only told by the next call.
  return whenBound(handle, status === 0 ? (handle.getsockname?.({}) ?? 0) : status);
}

function whenBound(handle: StreamHandle, status: number): StreamHandle {
  if (status === 0) return handle;
  handle.close(() => undefined);
  throw errorOf(status, "bind");
}

/** The system's error for a negative status. */
export function errorOf(status: number, call: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  const error: NodeJS.ErrnoException = new Error(`${call} ${code}`);
  error.code = code;
  error.errno = status;
  error.syscall = call;
  return error;
}

/**
 * Starts a connect; `done` gets its status. The handle, or undefined where there are none: for names, and without
 * internals.
 */
export function connectHandle(
  host: string,
  port: number,
  done: (status: number) => void,
): { readonly handle: StreamHandle; readonly status: number } | undefined {
  const family = isIP(host);
  if (!allowed || internals === undefined || family === 0) return undefined;
  const handle = new internals.TCP(internals.clientType);
  const request = new internals.TCPConnectWrap();
  request.oncomplete = done;
  const status = family === 6 ? handle.connect6(request, host, port) : handle.connect(request, host, port);
  if (status === 0) {
    handle.setNoDelay?.(true);
    handle.setKeepAlive?.(true, 0);
  }
  return { handle, status };
}

/** Inside `onread`: the bytes that were read, EOF, or another negative status. */
export function readCount(): number {
  return (internals as Internals).state[(internals as Internals).readBytes] as number;
}

/** What a write came to: done, a request that ends later, or a negative status. */
export type Written = 0 | Request | number;

/** Writes what the kernel takes now. What it does not take is read from `bytes` until the request it returns ends. */
export function writeNow(handle: StreamHandle, bytes: Uint8Array): Written {
  const { WriteWrap, state, wroteLater } = internals as Internals;
  // A request that was not needed can serve the next write of any handle.
  const request = spareWrite ?? new WriteWrap();
  spareWrite = request;
  const status = handle.writeBuffer(request, bytes);
  if (status !== 0 || state[wroteLater] === 0) return status;
  spareWrite = undefined;
  request.bytes = bytes;
  return request;
}

/** Ends our side behind what is written; `done` may be called at once. */
export function shutDown(handle: StreamHandle, done: () => void): void {
  const request = new (internals as Internals).ShutdownWrap();
  request.oncomplete = done;
  // Positive: done at once. Negative: there is no connection left to end.
  if (handle.shutdown(request) !== 0) done();
}
