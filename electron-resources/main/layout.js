'use strict';

// How the app's window is divided between its pages and the bar under them.

/** Room for one line of the bar, in pixels that the system has scaled already. */
const BAR_HEIGHT = 32;

/**
 * Returns where pages and bar go; together they fill the window.
 *
 * @param {{width: number, height: number}} content of the window
 * @param {number} zoom of the bar's page, which makes its line taller; 0 where there is no bar
 * @returns {Readonly<{pages: import('electron').Rectangle, bar: import('electron').Rectangle}>}
 */
function appLayout({ width, height }, zoom) {
  const taken = Math.min(Math.ceil(BAR_HEIGHT * zoom), height);
  const rest = height - taken;
  return Object.freeze({
    pages: { x: 0, y: 0, width, height: rest },
    bar: { x: 0, y: rest, width, height: taken },
  });
}

module.exports = { BAR_HEIGHT, appLayout };
