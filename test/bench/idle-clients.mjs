// `node idle-clients.mjs PORT COUNT request|nothing`: opens COUNT connections, each with one answered request first where
// asked, says "open", and holds them until it is ended.
import { connect } from "node:net";

const [port, count, what] = process.argv.slice(2);
const AT_ONCE = 50;
const REQUEST = "GET / HTTP/1.1\r\nHost: idle\r\n\r\n";
let started = 0;
let open = 0;

function next() {
  if (started === Number(count)) return;
  started++;
  const socket = connect(Number(port), "127.0.0.1");
  const done = () => {
    if (++open === Number(count)) process.stdout.write("open\n");
    next();
  };
  socket.on("error", (error) => {
    process.stderr.write(`idle client: ${error.message}\n`);
    process.exit(1);
  });
  socket.once("connect", () => (what === "request" ? socket.write(REQUEST) : setTimeout(done, 5)));
  socket.once("data", () => what === "request" && done());
}

for (let n = 0; n < AT_ONCE; n++) next();
