import { createServer } from "node:http";
import { onBothLoopbacks } from "../support/local-server.ts";
import { describeCheck } from "./checks.suite.ts";

const good = () =>
  onBothLoopbacks(() =>
    createServer((request, response) => response.writeHead(request.url === "/health" ? 200 : 404).end("all well")),
  );

describeCheck({ type: "http", options: { uri: "/health", expect: "well" }, freezable: false, good });
