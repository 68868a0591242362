/** One end of a connection. */
export interface End {
  /** An IP address; IPv4 never in its IPv6-mapped form. */
  readonly address: string;
  readonly port: number;
}

/** Who connected to whom. */
export interface Ends {
  readonly source: End;
  readonly target: End;
}

/** `::ffff:10.0.0.1`, as sockets that serve both families say it → `10.0.0.1`. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address;
}

interface SocketName {
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

/** From what a socket says of itself; undefined where it has no such names. */
export function endsOf(source: SocketName, target: SocketName): Ends | undefined {
  const [from, to] = [endOf(source), endOf(target)];
  return from === undefined || to === undefined ? undefined : { source: from, target: to };
}

function endOf({ address, port }: SocketName): End | undefined {
  return address === undefined || port === undefined ? undefined : { address: plainAddress(address), port };
}
