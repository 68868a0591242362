import type { ContainerOptions } from "../../support/container.ts";
import type { Engine } from "../../support/docker.ts";

/** A way for a container to end: the docker command for it, and what the container must be for that. */
export interface Ending {
  readonly options: ContainerOptions;
  /** "<id>" stands for the container. */
  readonly command: readonly string[];
}

const ID = "<id>";

/** A shell that ends with this code when it is told to. */
const ending = (code: number): string[] => ["sh", "-c", `trap 'exit ${code}' TERM; busybox httpd -f -p 80 & wait`];
const TELL = ["exec", "-d", ID, "kill", "-TERM", "1"];

export const ENDINGS: Readonly<Record<string, Ending>> = {
  stop: { options: {}, command: ["stop", ID] },
  kill: { options: {}, command: ["kill", ID] },
  "kill -s 9": { options: {}, command: ["kill", "-s", "9", ID] },
  "rm -f": { options: {}, command: ["rm", "-f", ID] },
  "its process ends with 0": { options: { command: ending(0) }, command: TELL },
  "its process ends with 1": { options: { command: ending(1) }, command: TELL },
  "its process ends, under --rm": { options: { command: ending(0), extra: ["--rm"] }, command: TELL },
};

export function endIt(engine: Engine, { command }: Ending, id: string): Promise<string> {
  return engine.docker(...command.map((word) => (word === ID ? id : word)));
}
