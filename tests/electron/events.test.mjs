import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LONGEST_LINE, LineReader, parseEvent } from '../../electron-resources/main/events.js';

const readAll = (chunks) => {
  const lines = [];
  const reader = new LineReader((line) => lines.push(line));
  for (const chunk of chunks) reader.read(chunk);
  reader.end();
  return lines;
};

const LINES = {
  step: { name: 'unpack', done: 1, total: 2, unit: 'bytes' },
  waiting: { pid: null },
  retrying: { count: 1, pid: 12 },
  lacking: { entries: ['lib/a'] },
  survey: { state: 'Damaged', damaged: ['a/b'] },
  installed: { slot: '/s', runtime: 'r', part: 'core' },
  starting: { argv: ['python'] },
  result: { act: 'repair', did: 'nothing' },
  failed: { code: 'busy', message: 'm', remedy: 'r', path: null, log: null },
  listening: { host: '127.0.0.1', port: 8000, pid: 3, version: '0.1.0' },
};

test.each(Object.entries(LINES))('%s is understood', (event, fields) => {
  expect(parseEvent(JSON.stringify({ v: 1, event, ...fields }))).toMatchObject({ event, ...fields });
});

test.each(Object.entries(LINES))('%s is no event without one of its fields', (event, fields) => {
  for (const name of Object.keys(fields).filter((field) => field !== 'did')) {
    expect(parseEvent(JSON.stringify({ v: 1, event, ...fields, [name]: undefined }))).toBe(null);
  }
});

test.each([
  ['a sentence', 'Uvicorn running on http://127.0.0.1:8000'],
  ['half an object', '{"v": 1, "event": "st'],
  ['another version', '{"v": 2, "event": "waiting", "pid": 1}'],
  ['an unknown event', '{"v": 1, "event": "dance"}'],
  ['a name that every object has', '{"v": 1, "event": "constructor"}'],
  ['a port that is none', JSON.stringify({ v: 1, event: 'listening', ...LINES.listening, port: 70000 })],
])('%s is no event', (_, line) => {
  expect(parseEvent(line)).toBe(null);
});

test('any text, cut anywhere, gives the same lines', () => {
  const text = fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll(/[\r\n]/g, '')));
  fc.assert(
    fc.property(text, fc.array(fc.nat()), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((place, index) => bytes.subarray(places[index], place));
      expect(readAll(chunks)).toEqual(lines);
    }),
    { numRuns: 500 },
  );
});

test('any line at all is an event or none, and never an error', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((json) => `{"v":1,"event":${json}}`),
      ),
      (line) => void parseEvent(line),
    ),
    {
      numRuns: 1_000,
    },
  );
});

test("Windows' line ends are ends too, and the last line needs none", () => {
  expect(readAll([Buffer.from('a\r\nb\nc')])).toEqual(['a', 'b', 'c']);
});

test('a line without end is given out in pieces', () => {
  const lines = readAll([Buffer.alloc(LONGEST_LINE * 2 + 5, 'x')]);
  expect(lines.map((line) => line.length)).toEqual([LONGEST_LINE, LONGEST_LINE, 5]);
});
