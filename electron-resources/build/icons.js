'use strict';

// Draws icon.svg at every size that a system asks for: `npm run icons`, with Chromium. Each system's own container takes
// the PNGs as they are, so that the builder has nothing to convert (and no converter to download).

const { mkdir, readFile, writeFile } = require('node:fs/promises');
const path = require('node:path');
const { launchChromium } = require('./chromium');

const SIZES = Object.freeze([16, 24, 32, 48, 64, 128, 256, 512, 1024]);

/** Windows' container ends at 256, which it writes as 0. */
const ICO_SIZES = Object.freeze([16, 24, 32, 48, 64, 128, 256]);

/** Apple's names of sizes; of a size at twice the density, the same picture. */
const ICNS_TYPES = Object.freeze({
  icp4: 16,
  icp5: 32,
  ic11: 32,
  ic12: 64,
  ic07: 128,
  ic08: 256,
  ic13: 256,
  ic09: 512,
  ic14: 512,
  ic10: 1024,
});

/**
 * @param {ReadonlyMap<number, Buffer>} pictures PNGs by their width
 * @returns {Buffer} an .ico
 */
function icoOf(pictures) {
  const header = Buffer.from([0, 0, 1, 0, ICO_SIZES.length, 0]);
  let offset = header.length + 16 * ICO_SIZES.length;
  const entries = ICO_SIZES.map((size) => {
    const picture = pictureOf(pictures, size);
    const entry = Buffer.alloc(16);
    entry.writeUInt8(size % 256, 0);
    entry.writeUInt8(size % 256, 1);
    entry.writeUInt16LE(1, 4); // planes
    entry.writeUInt16LE(32, 6); // bits of a pixel
    entry.writeUInt32LE(picture.length, 8);
    entry.writeUInt32LE(offset, 12);
    offset += picture.length;
    return entry;
  });
  return Buffer.concat([header, ...entries, ...ICO_SIZES.map((size) => pictureOf(pictures, size))]);
}

/**
 * @param {ReadonlyMap<number, Buffer>} pictures
 * @returns {Buffer} an .icns
 */
function icnsOf(pictures) {
  const blocks = Object.entries(ICNS_TYPES).map(([type, size]) => block(type, pictureOf(pictures, size)));
  return block('icns', Buffer.concat(blocks));
}

/** @param {string} type @param {Buffer} content */
function block(type, content) {
  const head = Buffer.alloc(8);
  head.write(type, 'ascii');
  head.writeUInt32BE(head.length + content.length, 4);
  return Buffer.concat([head, content]);
}

/** @param {ReadonlyMap<number, Buffer>} pictures @param {number} size @returns {Buffer} */
function pictureOf(pictures, size) {
  const found = pictures.get(size);
  if (found === undefined) throw new Error(`The icon is not drawn at ${size} pixels.`);
  return found;
}

/** @param {string} drawing an SVG @returns {Promise<ReadonlyMap<number, Buffer>>} */
async function draw(drawing) {
  const browser = await launchChromium();
  const page = await browser.newPage();
  const pictures = new Map();
  for (const size of SIZES) {
    await page.setViewportSize({ width: size, height: size });
    await page.setContent(`<style>body { margin: 0 } svg { display: block; width: 100vw }</style>${drawing}`);
    pictures.set(size, await page.screenshot({ omitBackground: true }));
  }
  await browser.close();
  return pictures;
}

async function main() {
  const pictures = await draw(await readFile(path.join(__dirname, 'icon.svg'), 'utf8'));
  const folder = path.join(__dirname, 'icons'); // where Linux' builder looks for all sizes
  await mkdir(folder, { recursive: true });
  for (const [size, picture] of pictures) await writeFile(path.join(folder, `${size}x${size}.png`), picture);
  await writeFile(path.join(__dirname, 'icon.ico'), icoOf(pictures));
  await writeFile(path.join(__dirname, 'icon.icns'), icnsOf(pictures));
}

if (require.main === module) main();

module.exports = { SIZES, draw, icnsOf, icoOf };
