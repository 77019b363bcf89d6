/**
 * The folders of test/ that `npm test` leaves to `.ci/run`: what surrounds the core. Their tests start processes and servers, or wait for time
 * limits, and take about half of the time of all.
 */
const FOLDERS = ['cli', 'cluster', 'demo', 'operations', 'probe', 'torture', 'worker']
const REST = FOLDERS.map((folder) => `test/${folder}/**/*.test.ts`)

/** By vitest's `--mode`: everything is the default. */
export const unitFilesOf = (mode: string): { readonly include: string[]; readonly exclude: string[] } =>
  mode === 'rest'
    ? { include: REST, exclude: [] }
    : { include: ['test/**/*.test.ts'], exclude: mode === 'choice' ? REST : [] }
