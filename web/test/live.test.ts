import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { Delta, RunDocument } from "../src/document";
import { Feed, splitEvents } from "../src/live/feed";
import { RunStore } from "../src/store";
import { asDeltas, swarm } from "./sample";

test("messages are found however the stream is cut", () => {
  const stream = 'data: {"a":1}\n\n: keep alive\n\nevent: x\r\ndata: {"b":\r\ndata: 2}\r\n\r\nid: 7\n';
  for (let cut = 0; cut <= stream.length; cut++) {
    const first = splitEvents(stream.slice(0, cut));
    const second = splitEvents(first.rest + stream.slice(cut));
    if (stream[cut - 1] === "\r") continue;
    assert.deepEqual([...first.messages, ...second.messages], ['{"a":1}', '{"b":\n2}']);
  }
});

test("a stream that breaks and resets ends in the whole run", { timeout: 60_000 }, async () => {
  const run = swarm(3, 30);
  const { empty, deltas } = asDeltas(run, 12);
  const store = new RunStore(empty);
  const asked: string[] = [];
  const send = (response: ServerResponse, from: number, to: number): void => {
    deltas.slice(from, to).forEach((delta, index) => {
      response.write(`data: ${JSON.stringify({ seq: from + index + 1, delta })}\n\n`);
    });
  };
  const server = createServer((request, response) => {
    asked.push(`${request.url ?? ""} ${request.headers.authorization ?? ""}`);
    if (request.url === "/api/document") {
      response.end(JSON.stringify({ ...run, seq: 12 }));
    } else if (request.url === "/api/stream?after=0") {
      send(response, 0, 5);
      response.end();
    } else if (request.url === "/api/stream?after=5") {
      send(response, 5, 7);
      response.write('data: {"reset": true}\n\n');
    } else response.write(": nothing new\n\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve) => {
    let resets = 0;
    const feed = new Feed(
      { base, token: "secret", readOnly: false },
      {
        delta: (delta: Delta) => store.apply(delta),
        reset: (document: RunDocument) => {
          store.replace(document);
          resets++;
        },
        status: (_, connected) => {
          if (!connected || resets === 0) return;
          feed.stop();
          resolve();
        },
      },
      0,
    );
    void feed.run();
  });
  server.closeAllConnections();
  server.close();
  const whole = new RunStore(run).snapshot();
  assert.deepEqual({ ...store.snapshot(), seq: undefined }, { ...whole, seq: undefined });
  assert.deepEqual(asked, [
    "/api/stream?after=0 Bearer secret",
    "/api/stream?after=5 Bearer secret",
    "/api/document Bearer secret",
    "/api/stream?after=12 Bearer secret",
  ]);
});
