'use strict';

// Stands in for peft_engine: says and does what the JSON in FAKE_ENGINE asks for, step by step. Run by Node.
//
//   {"say": {…}}        an event on stdout        {"babble": "text"}   text on stdout, as it is
//   {"stderr": "text"}  a line on stderr          {"serve": {…}}       listen, say so, and answer as `serve` has it
//   {"deaf": true}      ignore signals and stdin  {"spawn": true}      a grandchild in the same group, deaf too
//   {"alone": file}     complain into `file` if another engine of the same file lives (Linux alone)
//   {"argv": file}      add its arguments to `file`
//   {"saves": {"file": file, "until": go}}        once asked to end, wait for the file `go`, make `file`, and end then;
//                       without `until`, after a while
//   {"exit": 3}         end with a status         {"die": "SIGSEGV"}   end by a signal
//   {"once": file, "steps": […]}                  do these only as long as `file` is not there, and make it
//
// An object instead of the list has a list for each act: {"start": […], "--repair": […]}; --status answers in any case.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'];
const say = (event) => process.stdout.write(`${JSON.stringify({ v: 1, ...event })}\n`);

/** How long work is being saved that nothing else holds up, in milliseconds. */
const SAVING_MS = 500;

/** How often to look for a file that is waited for, in milliseconds. */
const LOOK_MS = 10;

let deaf = false;
let end = () => process.exit(0);
for (const signal of SIGNALS) process.on(signal, () => deaf || end());
process.stdin.on('end', () => deaf || end()).resume();
setInterval(() => undefined, 1 << 30); // lives until it is ended

const WHOLE = '{"part": "whole", "state": "ready", "done": null, "total": null, "unit": null}';

function serve({
  port = 0,
  version = '0.0.0',
  health = [200],
  jobs = [], // null: it does not know
  silent = false, // when it is asked for its jobs
  filling = 0, // characters that come with them
  engine, // a file of what /api/engine answers; without one, all is there
  stubborn = false,
  freezeAfter = Infinity,
} = {}) {
  let asked = 0;
  const server = http.createServer((request, response) => {
    if (request.url !== '/api/health' && request.headers.authorization !== `Bearer ${process.env.PEFT_STUDIO_TOKEN}`) {
      response.writeHead(401).end('{}');
      return;
    }
    switch (request.url) {
      case '/api/health': {
        const status = health[Math.min(asked, health.length - 1)];
        asked += 1;
        if (asked > freezeAfter) return; // connected, and silent
        response.writeHead(status).end(JSON.stringify({ status: status === 200 ? 'healthy' : 'ill' }));
        break;
      }
      case '/api/engine':
        response.end(engine === undefined ? WHOLE : fs.readFileSync(engine));
        break;
      case '/api/training/list':
        if (!silent)
          response.writeHead(jobs === null ? 500 : 200).end(JSON.stringify({ jobs, filling: '.'.repeat(filling) }));
        break;
      case '/api/configurations/import-file':
        request.toArray().then((chunks) => {
          const [, name] = /"name": "(.+)"/.exec(Buffer.concat(chunks).toString()) ?? [];
          if (name === undefined) response.writeHead(422).end('{"detail": "It has no name."}');
          else response.end(JSON.stringify({ data: { metadata: { name } } }));
        });
        break;
      case '/api/shutdown':
        response.end('{"status": "stopping"}', () => stubborn || end());
        break;
      default:
        response.writeHead(404).end('{}');
    }
  });
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => {
      say({ event: 'listening', host: '127.0.0.1', port: server.address().port, pid: process.pid, version });
      resolve();
    });
  });
}

const acts = {
  say: (event) => say(event),
  argv: (file) => fs.appendFileSync(file, `${process.argv.slice(2).join(' ')}\n`),
  saves({ file, until }) {
    const save = () => (fs.writeFileSync(file, ''), process.exit(0));
    end = () =>
      until === undefined ? setTimeout(save, SAVING_MS) : setInterval(() => fs.existsSync(until) && save(), LOOK_MS);
  },
  babble: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(`${text}\n`),
  serve,
  deaf: (value) => (deaf = value),
  spawn: () =>
    spawn(process.execPath, [__filename], {
      env: { ...process.env, FAKE_ENGINE: '[{"deaf": true}]' },
      stdio: ['ignore', 'inherit', 'inherit'],
    }),
  alone: (file) =>
    new Promise((resolve) => {
      // The name of a socket without a file is taken as long as its process lives, and not a moment longer.
      const claim = net.createServer().on('error', (error) => resolve(fs.appendFileSync(file, `${error.message}\n`)));
      claim.listen(`\0${file}`, resolve);
    }),
  exit: (status) => process.exit(status),
  die: (signal) => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    return new Promise(() => undefined);
  },
};

async function follow(steps) {
  for (const step of steps) {
    if ('once' in step) {
      if (!fs.existsSync(step.once)) {
        fs.writeFileSync(step.once, '');
        await follow(step.steps);
      }
      continue;
    }
    for (const [name, value] of Object.entries(step)) await acts[name](value);
  }
}

const STATUS = { act: 'status', version: '0.0.0', home: '/home', bytes: 0, state: 'missing' };
const given = JSON.parse(process.env.FAKE_ENGINE ?? '[{"serve": {}}]');
const asked = {
  '--status': [{ say: { event: 'result', ...STATUS } }, { exit: 0 }],
  ...(Array.isArray(given) ? { start: given } : given),
};
follow(asked[process.argv.find((argument) => Object.hasOwn(asked, argument)) ?? 'start']);
