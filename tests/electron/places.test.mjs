// An engine that is not the packed one: from the sources, or on another machine.

import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { locateEngine } from '../../electron-resources/main/place.js';
import { HANG_MS, folder, reached, serve, service } from './engines.mjs';

const BACKEND = `
import http.server, json, os, sys, threading
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'{"status": "healthy"}')
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("INFO: a line of no interest", flush=True)
print(json.dumps({"v": 1, "event": "listening", "host": "127.0.0.1", "port": server.server_port, "pid": os.getpid(), "version": "0"}), flush=True)
assert sys.argv[1:] == ["--json", "--until-eof", "--port", "8000"], sys.argv
sys.stdin.read()
`;

test('in development the repository’s backend runs with an interpreter of this machine', async () => {
  const repository = folder();
  fs.mkdirSync(path.join(repository, 'backend'));
  fs.writeFileSync(path.join(repository, 'backend', '__main__.py'), BACKEND);
  const context = { isPackaged: false, platform: process.platform, resourcesPath: '', repository, environment: {} };
  const manager = service([], { place: locateEngine(context) });
  await manager.start();
  expect(manager.processInfo()).toMatchObject({
    cwd: repository,
    status: 'running',
    args: ['-m', 'backend', '--json', '--until-eof', '--port', '8000'],
  });
  await manager.stop();
  expect(manager.processInfo().status).toBe('stopped');
});

test('without a backend in the repository, the message says so', async () => {
  const context = {
    isPackaged: false,
    platform: process.platform,
    resourcesPath: '',
    repository: folder(),
    environment: {},
  };
  const manager = service([], { place: locateEngine(context) });
  await expect(manager.start()).rejects.toMatchObject({ code: 'BACKEND_NOT_FOUND' });
});

describe('a remote engine', () => {
  /** A server that answers with `status` as long as it is told to. */
  async function remote() {
    const answers = { status: 200 };
    const { base } = await serve((_request, response) =>
      response.writeHead(answers.status).end('{"status": "healthy"}'),
    );
    const environment = { PEFT_STUDIO_REMOTE_URL: base, PEFT_STUDIO_REMOTE_TOKEN: 'far' };
    const place = locateEngine({
      isPackaged: true,
      platform: process.platform,
      resourcesPath: '',
      repository: '',
      environment,
    });
    // The deadline comes after a question: one that is answered well is in time, however late.
    const timing = { firstMs: 20, everyMs: 40, timeoutMs: HANG_MS, deadlineMs: 100 };
    return { answers, manager: service([], { place, timing }), place };
  }

  test('is ready when it answers, has its own token, and is left running at the end', async () => {
    const { manager, place } = await remote();
    await manager.start();
    expect(manager).toMatchObject({ base: place.url, token: 'far' });
    expect(manager.status()).toMatchObject({ running: true, pid: undefined });
    await manager.stop();
    expect(manager.state.phase).toBe('stopped');
    expect(await manager.checkHealth()).toMatchObject({ healthy: true });
  });

  test('that answers no more is asked again as one of our own is started again, then given up', async () => {
    const { manager, answers } = await remote();
    await manager.start();
    answers.status = 503;
    await reached(manager, ({ phase }) => phase === 'failed');
    expect(manager.explanation().code).toBe('MAX_RESTARTS_EXCEEDED');
    answers.status = 200;
    await manager.start();
    await reached(manager, ({ phase }) => phase === 'ready');
  });
});
