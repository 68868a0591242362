// `node backends.mjs FIRST_PORT COUNT SERVICE_MS`: backends in one process that answer after a time. At the port behind
// them: the most requests that any of them had at once since the question before.
import { createServer } from "node:http";

const [firstPort, count, serviceMs] = process.argv.slice(2).map(Number);
let most = 0;
for (let index = 0; index < count; index++) {
  let running = 0;
  const server = createServer({ keepAliveTimeout: 60_000 }, (_request, response) => {
    most = Math.max(most, ++running);
    setTimeout(() => {
      running--;
      response.writeHead(200, { "Content-Length": 2 }).end("ok");
    }, serviceMs);
  });
  server.listen(firstPort + index, "127.0.0.1", 1_024);
}
createServer((_request, response) => {
  response.end(String(most));
  most = 0;
}).listen(firstPort + count, "127.0.0.1");
