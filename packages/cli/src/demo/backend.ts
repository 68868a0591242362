/** The program of a demo backend: answers every request with its name, and ends by itself if nobody cleans up. */
export const BACKEND_PROGRAM = `
const http = require("node:http");
const name = process.env.NAME;
const server = http.createServer((request, response) => response.end(name));
server.keepAliveTimeout = 30000;
server.listen(Number(process.env.PORT), process.env.HOST, () => console.log("ready"));
setTimeout(() => process.exit(0), 120000);
if (process.env.PARENT) process.stdin.on("end", () => process.exit(0)).resume();
`;

/** The port a backend listens on inside its container. */
export const CONTAINER_PORT = 8080;
