'use strict';

// The menu, as electron's templates have it.

/**
 * @param {NodeJS.Platform} platform
 * @param {{repair: () => Promise<void>, openLog: () => Promise<void>, showEngine: () => void}} commands
 * @param {(error: Error) => void} tell of a command that failed
 * @returns {import('electron').MenuItemConstructorOptions[]}
 */
function menuTemplate(platform, { repair, openLog, showEngine }, tell) {
  /** @type {import('electron').MenuItemConstructorOptions} */
  const engine = {
    label: 'Engine',
    submenu: [
      { label: 'Show the engine', click: showEngine },
      {
        label: 'Repair the engine',
        click: () => {
          showEngine();
          repair().catch(tell);
        },
      },
      { label: 'Open the log', click: () => void openLog().catch(tell) },
    ],
  };
  const first = platform === 'darwin' ? /** @type {const} */ ('appMenu') : /** @type {const} */ ('fileMenu');
  return [{ role: first }, { role: 'editMenu' }, engine, { role: 'windowMenu' }];
}

module.exports = { menuTemplate };
