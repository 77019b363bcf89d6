/**
 * The files of test/ that `npm test` leaves to `.ci/run`: each takes long on two cores, since it starts processes or servers, or waits for a
 * time limit that is not an option. What they test is also used by quicker tests.
 */
const SLOW = [
  'test/cluster/start.test.ts',
  'test/cluster/supervisor.test.ts',
  'test/probe/deployment.test.ts',
  'test/probe/health.test.ts',
  'test/probe/start.test.ts',
]

/** By vitest's `--mode`: everything is the default. */
export const unitFilesOf = (mode: string): { readonly include: string[]; readonly exclude: string[] } =>
  mode === 'rest'
    ? { include: SLOW, exclude: [] }
    : { include: ['test/**/*.test.ts'], exclude: mode === 'choice' ? SLOW : [] }
