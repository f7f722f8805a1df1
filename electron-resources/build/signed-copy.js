'use strict';

// Whether a Windows program is another one with a signature added. Signing changes three places of its headers' and adds
// the signature at the end; whatever else is different is not signing.

const { readFile } = require('node:fs/promises');

/** @param {string} plain @param {string} signed @returns {Promise<boolean>} */
async function isSignedCopy(plain, signed) {
  const [before, after] = await Promise.all([readFile(plain), readFile(signed)]);
  const places = placesOfSigning(before);
  if (places === null || after.length <= before.length) return false;
  const same = Buffer.from(after.subarray(0, before.length));
  for (const { at, length } of places) before.copy(same, at, at, at + length);
  return same.equals(before);
}

/** The magic number of programs with 64 bits; those with 32 have another layout, and are not ours. */
const PE32_PLUS = 0x20b;

/**
 * @param {Buffer} program
 * @returns {{at: number, length: number}[] | null} where signing writes; null where it is no program of Windows
 */
function placesOfSigning(program) {
  if (program.length < 0x40 || program.toString('latin1', 0, 2) !== 'MZ') return null;
  const header = program.readUInt32LE(0x3c);
  const optional = header + 24;
  const directories = optional + 112;
  if (program.length < directories + 40 || program.toString('latin1', header, header + 4) !== 'PE\0\0') return null;
  if (program.readUInt16LE(optional) !== PE32_PLUS) return null;
  // The checksum, and the fifth directory: where the signature lies, and how long it is.
  return [
    { at: optional + 64, length: 4 },
    { at: directories + 32, length: 8 },
  ];
}

module.exports = { isSignedCopy };
