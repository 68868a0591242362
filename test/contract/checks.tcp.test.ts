import { createServer } from "node:net";
import { onBothLoopbacks } from "../support/local-server.ts";
import { describeCheck } from "./checks.suite.ts";

const good = () => onBothLoopbacks(() => createServer((socket) => socket.resume()));

describeCheck({ type: "tcp", judgesAnswers: false, freezable: false, good });
