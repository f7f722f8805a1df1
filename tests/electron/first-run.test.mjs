// The engine's page in a real Chromium, with a bridge as the preload makes it.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../../electron-resources/build/chromium.js';
import { BAR_HEIGHT } from '../../electron-resources/main/layout.js';
import { explain } from '../../electron-resources/main/errors.js';
import { describeBytes, describeFigures, describeTime } from '../../electron-resources/first-run/words.mjs';
import { failure } from './failures.mjs';

const ROOT = path.join(import.meta.dirname, '..', '..');
const PAGE = path.join(ROOT, 'electron-resources', 'first-run');
const AXE = path.join(ROOT, 'electron-resources', 'node_modules', 'axe-core', 'axe.min.js');
const SHOTS = process.env.PEFT_STUDIO_SCREENSHOTS;

const IDLE = { done: null, total: null, unit: null, rate: null, secondsLeft: null, pid: null };
const working = (progress) => ({
  mood: 'working',
  progress: { ...IDLE, ...progress },
  problem: null,
  arrival: null,
  installed: null,
});
const UNPACKING = working({ step: 'unpack', done: 612e6, total: 1_240e6, unit: 'bytes', rate: 88e6, secondsLeft: 7.1 });
const failed = (fields) => ({
  mood: 'failed',
  progress: null,
  problem: explain(failure({ exitCode: 3, ...fields })),
  arrival: null,
  installed: null,
});
const DISK_FULL = failed({
  code: 'disk-full',
  message: 'The disk of /home/ada is too full: 1.74 GB are needed, 0.30 GB are free.',
  remedy: 'Free at least 1.44 GB there, or choose a folder on another disk.',
  exitCode: 85,
});
const CRASHED = failed({
  lastLines: [
    'Traceback (most recent call last):',
    '  File "server.py", line 40, in serve',
    "ValueError: <b>odd</b> & 'quoted'",
  ],
});
const GERMAN = failed({
  code: 'home-not-writable',
  message:
    'Das Benutzeranwendungsdatenverzeichnis C:\\Benutzer\\Donaudampfschifffahrtsgesellschaftskapitänsmütze\\AppData\\Local\\peft-studio ist schreibgeschützt.',
  remedy:
    'Erteilen Sie Ihrem Benutzerkonto die Schreibberechtigung oder wählen Sie ein anderes Installationsverzeichnis auf einem Festplattenlaufwerk aus.',
});
const PORT_TAKEN = failed({
  code: 'PORT_IN_USE',
  message:
    'Port 8000 was taken by ssh (process 5092). The engine is at http://127.0.0.1:8001, and the pages of this app look for it at http://127.0.0.1:8000 alone.',
  exitCode: null,
});
const ARRIVING = {
  mood: 'ready',
  progress: null,
  problem: null,
  arrival: { ...IDLE, done: 612e6, total: 1_240e6, rate: 88e6, secondsLeft: 7.1 },
  installed: null,
};
const READY = { ...ARRIVING, arrival: { ...IDLE, done: 1e9, total: 2e9 } };
const INSTALLED = {
  ...ARRIVING,
  arrival: null,
  installed: { version: '0.1.0', home: '/home/ada/.local/share/peft-studio', bytes: 1_342e6 },
};

let browser;
let server;
let origin;

beforeAll(async () => {
  const types = { '.html': 'text/html', '.css': 'text/css', '.mjs': 'text/javascript' };
  server = http.createServer((request, response) => {
    const file = path.join(PAGE, path.basename(request.url));
    response.setHeader('content-type', types[path.extname(file)] ?? 'text/plain');
    response.writeHead(fs.existsSync(file) ? 200 : 404).end(fs.existsSync(file) ? fs.readFileSync(file) : '');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  server?.close();
});

/** Opens the page with a first view; `send` sends another, `pressed` lists the buttons that were pressed. */
async function open(view, { file = 'index.html', width = 640, height = 480, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, ...options });
  context.setDefaultTimeout(0); // the test's own limit is enough
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.addInitScript((first) => {
    window.pressed = [];
    window.engine = {
      onView(callback) {
        window.send = callback;
        callback(first);
        return () => undefined;
      },
      press(button) {
        window.pressed.push(button);
        return Promise.resolve(button === 'repair' ? { success: false, error: 'It is in use.' } : { success: true });
      },
    };
  }, view);
  await page.goto(`${origin}/${file}`);
  return {
    page,
    complaints,
    send: (next) => page.evaluate((sent) => window.send(sent), next),
    pressed: () => page.evaluate(() => window.pressed),
  };
}

async function shoot(page, name) {
  if (SHOTS !== undefined) await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
}

/** What axe finds wrong, in words. */
async function findings(page) {
  await page.evaluate(fs.readFileSync(AXE, 'utf8'));
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join()}`);
}

const BAR = { file: 'bar.html', width: 1280, height: BAR_HEIGHT };
const VIEWS = {
  begin: working({ step: 'begin' }),
  unpacking: UNPACKING,
  'disk-full': DISK_FULL,
  crashed: CRASHED,
  german: GERMAN,
  port: PORT_TAKEN,
  ready: READY,
  installed: INSTALLED,
};

describe.each(['light', 'dark'])('in the %s', (colorScheme) => {
  test.each(Object.entries(VIEWS))('%s: nothing for axe to find, nothing in the console', async (name, view) => {
    const { page, complaints } = await open(view, { colorScheme, reducedMotion: 'reduce' });
    if (name === 'crashed') await page.locator('summary').click();
    expect(await findings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await shoot(page, `${name}-${colorScheme}`);
    await page.context().close();
  });

  test('the bar: nothing for axe to find, nothing in the console', async () => {
    const { page, complaints } = await open(ARRIVING, { ...BAR, colorScheme, reducedMotion: 'reduce' });
    expect(await findings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await shoot(page, `bar-${colorScheme}`);
    await page.context().close();
  });
});

describe('the bar', () => {
  test('says how much of how much is there, to the eye and to a screen reader', async () => {
    const { page, send } = await open(ARRIVING, BAR);
    const figures = '612 MB of 1.24 GB · 88 MB a second · about 10 seconds left';
    expect(await page.locator('#shown').textContent()).toBe(figures);
    expect(await page.locator('#bar').getAttribute('aria-valuetext')).toBe(`49 %, ${figures}`);
    await send({ ...READY, arrival: IDLE });
    expect(await page.locator('#bar').getAttribute('value')).toBe(null);
    await page.context().close();
  });

  test.each([
    ['as wide as the smallest window', { width: 640, height: BAR_HEIGHT }],
    // What layout.js gives it then: twice the height, of which the page's pixels are half.
    ['zoomed to twice its size there', { width: 320, height: BAR_HEIGHT, deviceScaleFactor: 2 }],
  ])('%s stays one line, and its figures whole', async (name, size) => {
    const { page } = await open(ARRIVING, { ...BAR, ...size });
    // Longer than German would make it.
    await page.evaluate(() => (document.getElementById('what').textContent += ' Donaudampfschifffahrtsgesellschaft'));
    const inside = await page.evaluate(() => {
      const { right, bottom } = document.getElementById('figures').getBoundingClientRect();
      const { scrollWidth, scrollHeight } = document.documentElement;
      return right <= innerWidth && bottom <= innerHeight && scrollWidth <= innerWidth && scrollHeight <= innerHeight;
    });
    await shoot(page, `bar-${name.replaceAll(' ', '-')}`);
    expect(inside).toBe(true);
    await page.context().close();
  });
});

test('without motion nothing moves, and something still shows that work goes on', async () => {
  const { page } = await open(VIEWS.begin, { reducedMotion: 'reduce' });
  const look = () =>
    page.evaluate(() => {
      const { animationName, backgroundPosition } = getComputedStyle(document.getElementById('bar'));
      return { animationName, backgroundPosition, moving: document.getAnimations().length };
    });
  expect(await look()).toEqual({ animationName: 'none', backgroundPosition: '50% 0px', moving: 0 });
  await page.emulateMedia({ reducedMotion: 'no-preference' });
  expect(await look()).toMatchObject({ animationName: 'pass', moving: 1 });
  await page.context().close();
});

test('whoever uses the keyboard sees where it is', async () => {
  const { page } = await open(CRASHED);
  const seen = [];
  const order = ['SUMMARY', ...CRASHED.problem.buttons]; // in which the page is read
  for (const _ of order) {
    await page.keyboard.press('Tab');
    seen.push(
      await page.evaluate(() => {
        const { tagName, dataset } = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return `${dataset.act ?? tagName}: ${outlineStyle} ${outlineWidth}`;
      }),
    );
  }
  expect(seen).toEqual(order.map((name) => `${name}: solid 3px`));
  await page.context().close();
});

test('bytes, rate and time left are shown, and the bar says them too', async () => {
  const { page } = await open(UNPACKING);
  expect(await page.locator('#step').textContent()).toBe('Unpacking the engine');
  expect(await page.locator('#figures').textContent()).toBe(
    '612 MB of 1.24 GB · 88 MB a second · about 10 seconds left',
  );
  expect(await page.locator('#bar').getAttribute('aria-valuetext')).toMatch(/^49 %, 612 MB/);
  await page.context().close();
});

test('an engine that is there says which, how large, and where', async () => {
  const { page } = await open(INSTALLED);
  const said = await page.locator('#installed').textContent();
  expect(said).toBe('Version 0.1.0, 1.34 GB in /home/ada/.local/share/peft-studio');
  await page.context().close();
});

test('a step is announced once, however often its figures change', async () => {
  const { page, send } = await open(UNPACKING);
  await page.evaluate(() => {
    window.announced = 0;
    new MutationObserver(() => (window.announced += 1)).observe(document.getElementById('step'), {
      childList: true,
      subtree: true,
    });
  });
  for (let done = 1; done <= 20; done += 1) await send(working({ ...UNPACKING.progress, done: done * 6e7 }));
  await send(working({ step: 'relocate', done: 1, total: 2, unit: 'entries' }));
  expect(await page.evaluate(() => window.announced)).toBe(1);
  await page.context().close();
});

test('that the rest of the engine arrives is announced once, however often its figures change', async () => {
  const { page, send } = await open(READY);
  await page.evaluate(() => {
    window.announced = 0;
    const observer = new MutationObserver(() => (window.announced += 1));
    for (const live of document.querySelectorAll('[aria-live]'))
      observer.observe(live, { childList: true, subtree: true, characterData: true });
  });
  for (let done = 1; done <= 20; done += 1) await send({ ...READY, arrival: { ...READY.arrival, done: done * 6e7 } });
  expect(await page.locator('#arrived').textContent()).toBe('1.20 GB of 2.00 GB');
  await send(INSTALLED);
  expect(await page.evaluate(() => window.announced)).toBe(1);
  await page.context().close();
});

test('on failure the reader is brought to the title, and the keyboard reaches every button', async () => {
  const { page, send, pressed } = await open(UNPACKING);
  await send(DISK_FULL);
  expect(await page.evaluate(() => document.activeElement.textContent)).toBe('The disk is full');
  for (const button of DISK_FULL.problem.buttons) {
    for (;;) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate(() => document.activeElement.dataset.act)) === button) break;
    }
    await page.keyboard.press('Enter');
  }
  expect(await pressed()).toEqual(DISK_FULL.problem.buttons);
  await page.context().close();
});

test('what the engine said is text, never markup', async () => {
  const { page } = await open(CRASHED);
  expect(await page.locator('#lines').textContent()).toContain('<b>odd</b>');
  expect(await page.locator('#lines b').count()).toBe(0);
  await page.context().close();
});

test('a button that fails says why', async () => {
  const { page } = await open(CRASHED);
  await page.locator('[data-act=repair]').click();
  await expect.poll(() => page.locator('#trouble').textContent()).toBe('It is in use.');
  await page.context().close();
});

test.each(Object.entries(VIEWS))('%s, zoomed to twice its size, needs no scrolling sideways', async (name, view) => {
  // A window of 640 × 480 at 200 % has 320 × 240 of the page's pixels.
  const { page } = await open(view, { width: 320, height: 240, deviceScaleFactor: 2 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  const last = page.locator('#buttons button').last();
  await last.scrollIntoViewIfNeeded();
  expect(await last.isVisible()).toBe(true);
  await shoot(page, `${name}-zoomed`);
  await page.context().close();
});

test('the page has a strict policy, and nothing in it that one would forbid', () => {
  const html = fs.readFileSync(path.join(PAGE, 'index.html'), 'utf8');
  expect(html).toContain("default-src 'none'");
  expect(html).not.toMatch(/ style=| on[a-z]+=|<script>|<style>|unsafe/);
});

test.each([
  [describeBytes(999), '1 kB'],
  [describeBytes(1_500_000), '2 MB'],
  [describeBytes(1_240_000_000), '1.24 GB'],
  [describeTime(2), 'a few seconds left'],
  [describeTime(31), 'about 35 seconds left'],
  [describeTime(58), 'about a minute left'],
  [describeTime(130), 'about 3 minutes left'],
  [describeFigures({ done: 1200, total: 38302, unit: 'entries' }), '1,200 of 38,302 files'],
  [describeFigures({ done: 1, total: 2, unit: 'steps' }), ''],
])('%s', (described, expected) => expect(described).toBe(expected));
