#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";

// Loading the program makes garbage by the megabyte, for which the heap's young generation would grow to 16 MiB and
// stay so for as long as nothing happens. It may grow again once the program runs.
setFlagsFromString("--semi-space-growth-factor=1");
await import("../dist/main.js");
