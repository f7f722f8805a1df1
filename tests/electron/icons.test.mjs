// The app's icons: one drawing, at every size, in each system's container.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { launchChromium } from '../../electron-resources/build/chromium.js';
import { SIZES, draw, icnsOf, icoOf } from '../../electron-resources/build/icons.js';
import { later } from './engines.mjs';

const BUILD = path.join(import.meta.dirname, '..', '..', 'electron-resources', 'build');
const read = (...names) => fs.readFileSync(path.join(BUILD, ...names));
const kept = new Map(SIZES.map((size) => [size, read('icons', `${size}x${size}.png`)]));
const sizeOf = (png) => [png.readUInt32BE(16), png.readUInt32BE(20)];

test('the pictures are those of the drawing, each of its size', async () => {
  const drawn = await draw(read('icon.svg').toString());
  const browser = await launchChromium();
  later(() => browser.close());
  const page = await browser.newPage();
  const urlOf = (png) => `data:image/png;base64,${png.toString('base64')}`;
  for (const size of SIZES) {
    expect(sizeOf(kept.get(size))).toEqual([size, size]);
    const pair = [drawn.get(size), kept.get(size)].map(urlOf);
    // Another Chromium may smooth an edge otherwise.
    expect(await page.evaluate(difference, pair)).toBeLessThan(0.01);
  }
});

/** Runs in a page: the share of pixels that are not the same in two pictures. */
async function difference(urls) {
  const pixels = [];
  for (const url of urls) {
    const image = Object.assign(new Image(), { src: url });
    await image.decode();
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
    context.drawImage(image, 0, 0);
    pixels.push(context.getImageData(0, 0, image.width, image.height).data);
  }
  const [one, other] = pixels;
  return one.filter((value, at) => Math.abs(value - other[at]) > 16).length / one.length;
}

test('Windows’ and Apple’s containers hold these pictures', () => {
  expect(read('icon.ico').equals(icoOf(kept))).toBe(true);
  expect(read('icon.icns').equals(icnsOf(kept))).toBe(true);
});

test('each picture lies where its container says', () => {
  const ico = read('icon.ico');
  const entries = Array.from({ length: ico.readUInt16LE(4) }, (_, index) =>
    ico.subarray(6 + 16 * index, 22 + 16 * index),
  );
  for (const entry of entries) {
    const at = entry.readUInt32LE(12);
    const png = ico.subarray(at, at + entry.readUInt32LE(8));
    expect(sizeOf(png)).toEqual([entry[0] || 256, entry[1] || 256]);
  }
  const icns = read('icon.icns');
  expect(icns.readUInt32BE(4)).toBe(icns.length);
  for (let at = 8; at < icns.length; at += icns.readUInt32BE(at + 4))
    expect(icns.toString('latin1', at + 9, at + 12)).toBe('PNG');
});
