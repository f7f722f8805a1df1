'use strict';

// The menu, as electron's templates have it.

/** What there is to do with the engine, by its button; where one shows how far it is, the engine's page comes first. */
const ENTRIES = Object.freeze([
  { label: 'Repair the engine', button: 'repair', shown: true },
  { label: 'Move the engine to another disk…', button: 'choose-home', shown: true },
  { label: 'Make a support report…', button: 'support-report', shown: true },
  { label: 'Open the log', button: 'open-log', shown: false },
]);

/**
 * @param {NodeJS.Platform} platform
 * @param {{showEngine: () => void, press: (button: string) => void}} commands
 * @returns {import('electron').MenuItemConstructorOptions[]}
 */
function menuTemplate(platform, { showEngine, press }) {
  const entries = ENTRIES.map(({ label, button, shown }) => ({
    label,
    click: () => {
      if (shown) showEngine();
      press(button);
    },
  }));
  const first = platform === 'darwin' ? /** @type {const} */ ('appMenu') : /** @type {const} */ ('fileMenu');
  return [
    { role: first },
    { role: 'editMenu' },
    {
      label: 'View',
      submenu: [{ role: 'resetZoom' }, { role: 'zoomIn' }, { role: 'zoomOut' }, { role: 'togglefullscreen' }],
    },
    { label: 'Engine', submenu: [{ label: 'Show the engine', click: showEngine }, { type: 'separator' }, ...entries] },
    { role: 'windowMenu' },
  ];
}

module.exports = { menuTemplate };
