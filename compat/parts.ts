/**
 * The part of compat/ that `npm test` runs: few minutes that show the promise. Jobs of both sides on the tables of each version of
 * the gem, batches that come back, the dashboard. The rest is what `.ci/run` adds.
 */
const CHOICE = [
  'compat/matrix.test.ts',
  'compat/batch-recovery.test.ts',
  'compat/dashboard.test.ts',
  'compat/browser.test.ts',
]

/** By vitest's `--mode`: everything is the default. */
export const filesOf = (mode: string): { readonly include: string[]; readonly exclude: string[] } =>
  mode === 'choice'
    ? { include: CHOICE, exclude: [] }
    : { include: ['compat/**/*.test.ts'], exclude: mode === 'rest' ? CHOICE : [] }
