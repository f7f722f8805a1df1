'use strict';

// Builds the app: `npm run build:linux` and its like. One order, each step checked before the next, an end at the first
// failure:
//
//   engine → is it whole? → pages → are they whole? → electron-builder, whose hooks check what it packed and wrote
//
// PEFT_STUDIO_RESOURCES names an engine that is staged already, PEFT_STUDIO_PAGES the app's pages if they are built
// already. What follows `--` is electron-builder's.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync } = require('node:fs');
const path = require('node:path');
const { checkEngineFolder } = require('./engine-folder');
const { checkPages } = require('./pages');
const { PLATFORMS, resourcesOf } = require('./platforms');

const HERE = path.join(__dirname, '..');
const ROOT = path.join(HERE, '..');
const BUILDER = path.join(HERE, 'node_modules', 'electron-builder', 'cli.js');

/** The builder's words for systems, and Node's. @type {Readonly<Record<string, NodeJS.Platform>>} */
const SYSTEMS = Object.freeze({ '--linux': 'linux', '--mac': 'darwin', '--win': 'win32' });

/**
 * @typedef {Readonly<{
 *   platform: NodeJS.Platform,
 *   arch: string,
 *   engine: string,
 *   engineIsStaged: boolean,
 *   pages: string,
 *   pagesAreBuilt: boolean,
 *   builderArgs: readonly string[],
 * }>} BuildConfiguration
 * @typedef {Readonly<{name: string, act: () => Promise<unknown>}>} Step
 */

/**
 * @param {readonly string[]} argv
 * @param {Readonly<NodeJS.ProcessEnv>} environment
 * @param {{platform: NodeJS.Platform, arch: string}} machine to build for where argv names none
 * @returns {BuildConfiguration}
 */
function configure(argv, environment, machine) {
  const { PEFT_STUDIO_RESOURCES: resources, PEFT_STUDIO_PAGES: pages } = environment;
  const cut = argv.indexOf('--');
  const [own, rest] = cut === -1 ? [argv, []] : [argv.slice(0, cut), argv.slice(cut + 1)];
  const unknown = own.filter((word) => !(word in SYSTEMS) && !['--x64', '--arm64', '--dir'].includes(word));
  if (unknown.length > 0)
    throw new Error(`${unknown.join(' ')} is not known here; electron-builder’s own go after --.`);
  const systems = own.filter((word) => word in SYSTEMS);
  if (systems.length > 1) throw new Error(`Build for one system at a time, not for ${systems.join(' and ')}.`);
  const platform = systems.length === 0 ? machine.platform : SYSTEMS[systems[0]];
  const arch = own.includes('--arm64') ? 'arm64' : own.includes('--x64') ? 'x64' : machine.arch;
  const engine = resourcesOf(platform, arch, resources);
  // Its package lies beside the installer, which has to know where: electron-builder says so only after packing.
  if (platform === 'win32' && !own.includes('--dir') && !environment.PEFT_STUDIO_UPDATES_URL)
    throw new Error('Windows’ installer needs PEFT_STUDIO_UPDATES_URL, where its package and updates will lie.');
  const system = Object.keys(SYSTEMS).find((word) => SYSTEMS[word] === platform);
  return Object.freeze({
    platform,
    arch,
    engine,
    engineIsStaged: Boolean(resources),
    pages: pages ? path.resolve(pages) : path.join(HERE, 'renderer', 'dist'),
    pagesAreBuilt: Boolean(pages) || !existsSync(path.join(HERE, 'renderer', 'package.json')),
    builderArgs: Object.freeze([`${system}`, `--${arch}`, ...(own.includes('--dir') ? ['--dir'] : []), ...rest]),
  });
}

/**
 * @param {BuildConfiguration} configuration
 * @param {(command: string, args: readonly string[], cwd: string) => Promise<void>} run
 * @returns {readonly Step[]} in the one order that is right
 */
function stepsOf({ platform, arch, engine, engineIsStaged, pages, pagesAreBuilt, builderArgs }, run) {
  const name = PLATFORMS[`${platform} ${arch}`];
  const nox = (/** @type {string} */ session) => run('nox', ['-s', `${session}(${name})`], ROOT);
  const npm = (/** @type {string[]} */ ...args) => run('npm', args, path.join(HERE, 'renderer'));
  const nothing = async () => undefined;
  return Object.freeze([
    { name: 'stage the engine', act: engineIsStaged ? nothing : () => nox('stage') },
    { name: 'check the engine', act: () => checkEngineFolder(engine, platform) },
    { name: 'run the engine', act: engineIsStaged ? nothing : () => nox('verify') },
    {
      name: 'build the pages',
      act: pagesAreBuilt ? nothing : async () => (await npm('ci'), npm('run', 'build')),
    },
    { name: 'check the pages', act: () => checkPages(pages) },
    {
      name: 'pack',
      act: () => run(process.execPath, [BUILDER, '--config', 'electron-builder.config.js', ...builderArgs], HERE),
    },
  ]);
}

/**
 * Does one step after the other; rejects with the first that fails, and does none after it.
 *
 * @param {readonly Step[]} steps
 * @param {(text: string) => void} say
 */
async function runSteps(steps, say) {
  for (const [index, { name, act }] of steps.entries()) {
    const place = `step ${index + 1} of ${steps.length}, ${name}`;
    say(`${place} …`);
    try {
      await act();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`The build stopped at ${place}; nothing after it was done.\n${reason}`, { cause: error });
    }
  }
}

/** @param {string} command @param {readonly string[]} args @param {string} cwd */
async function runProgram(command, args, cwd) {
  const shell = process.platform === 'win32' && command !== process.execPath; // there, nox and npm are scripts
  const child = spawn(command, [...args], { cwd, stdio: 'inherit', shell });
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${signal ?? `status ${code}`}.`);
}

async function main() {
  const say = (/** @type {string} */ text) => void process.stderr.write(`${text}\n`);
  try {
    const configuration = configure(process.argv.slice(2), process.env, process);
    await runSteps(stepsOf(configuration, runProgram), say);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}

if (require.main === module) main();

module.exports = { configure, runSteps, stepsOf };
