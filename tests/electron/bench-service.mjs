// For bench.mjs: the service itself with the staged engine, and what its pages show meanwhile, in a real Chromium.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import http from 'node:http';
import path from 'node:path';

const HERE = path.join(import.meta.dirname, '..', '..', 'electron-resources');
const require = createRequire(path.join(HERE, 'package.json'));
const { launchChromium } = require('./build/chromium');
const { watchArrival } = require('./main/arrival');
const { BackendServiceManager } = require('./main/backend-service-manager');
const { locateEngine } = require('./main/place');
const { Presenter } = require('./main/presenter');

const TYPES = { '.html': 'text/html', '.css': 'text/css', '.mjs': 'text/javascript' };
const { platform } = process;
const silent = () => undefined;
const complain = (what) => process.stderr.write(`${JSON.stringify(what)}\n`);
const LOG = { file: '', info: silent, warn: silent, error: complain, line: silent, failure: complain };

function service({ resources, home }) {
  const resourcesPath = fs.mkdtempSync(`${home}-app-`);
  fs.symlinkSync(resources, path.join(resourcesPath, 'backend'));
  const place = locateEngine({ isPackaged: true, platform, resourcesPath, repository: '', environment: {} });
  const environment = { ...process.env, PEFT_STUDIO_HOME: home };
  return new BackendServiceManager({ place, platform, environment, token: 'a-token', log: LOG });
}

/** @returns {Promise<number>} in milliseconds */
export async function readyAfterListening(where) {
  const manager = service(where);
  await manager.start();
  const { listeningMs, readyMs } = manager.metrics();
  await manager.stop();
  return readyMs - listeningMs;
}

/**
 * Follows a first start on the engine's pages, until all of the engine is there. Of each page: how many figures it
 * showed, and for how long at most it showed one while a newer one was known: by the launcher's events for the
 * page of the first start, for the bar by the file that the launcher notes its progress in.
 */
export async function watchFirstStart(where) {
  const manager = service(where);
  const presenter = new Presenter(manager);
  const server = http.createServer((request, response) => {
    const file = path.join(HERE, 'first-run', path.basename(request.url));
    response.setHeader('content-type', TYPES[path.extname(file)] ?? 'text/plain');
    response.end(fs.existsSync(file) ? fs.readFileSync(file) : '');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const browser = await launchChromium();
  const [page, bar] = await Promise.all(['index.html', 'bar.html'].map((name) => open(browser, `${origin}/${name}`)));
  for (const each of [page, bar]) presenter.on('view', (view) => each.evaluate((sent) => window.send(sent), view));

  const known = { page: [], bar: [] };
  manager.on('event', ({ event, name, done }) => {
    if (event === 'step' && name === 'unpack') known.page.push({ at: Date.now(), done });
  });
  const began = Date.now();
  await manager.start();
  const tookMs = Date.now() - began;
  const looking = setInterval(() => noteProgress(path.join(where.home, 'progress.json'), known.bar), 10);
  await watchArrival(manager, {
    signal: new AbortController().signal,
    tell: (arrival) => presenter.arrive(arrival),
    warn: complain,
  });
  clearInterval(looking);
  const whole = Date.now() - began;
  const shown = { page: await page.evaluate(() => window.shown), bar: await bar.evaluate(() => window.shown) };
  presenter.removeAllListeners('view');
  await manager.stop();
  await browser.close();
  server.close();
  return { page: { ...judge(shown.page, known.page), tookMs }, bar: { ...judge(shown.bar, known.bar), tookMs: whole } };
}

/** A page with a bridge as the preload makes it, that notes when its progress element shows what. */
async function open(browser, url) {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    window.shown = [];
    window.engine = { onView: (callback) => (window.send = callback), press: () => Promise.resolve() };
    window.addEventListener('DOMContentLoaded', () => {
      const bar = document.getElementById('bar');
      const note = () => bar.hasAttribute('value') && window.shown.push({ at: Date.now(), done: bar.value });
      new MutationObserver(note).observe(bar, { attributes: true });
    });
  });
  await page.goto(url);
  return page;
}

/** Notes what the launcher has written, if it is new. */
function noteProgress(file, known) {
  let done;
  try {
    ({ done } = JSON.parse(fs.readFileSync(file, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || error.code === 'ENOENT') return; // half written, or not yet, or no more
    throw error;
  }
  if (done !== known.at(-1)?.done) known.push({ at: Date.now(), done });
}

/** How long at most something newer was known than what was shown; a figure that a newer one overtook counts as that. */
function judge(shown, known) {
  const delays = known.flatMap(({ at, done }) => shown.find((one) => one.at >= at && one.done >= done)?.at - at || []);
  const between = known.slice(1).map(({ at }, index) => at - known[index].at);
  return {
    told: known.length,
    shown: shown.length,
    delayMs: Math.max(...delays),
    betweenMs: Math.max(...between),
  };
}
