import type { Mutant } from './mutant.ts'

/** Which end of a launcher ends a worker. */
export const LAUNCHER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a worker that was sent into the background does not end with its launcher',
    file: 'src/cli/start/launcher.ts',
    text: 'return isAttached ? launchers : []',
    replacement: 'return isAttached || true ? launchers : []',
    tests: { 'test/cli/launcher.test.ts': [] },
  },
  {
    name: 'a session of its own is the background',
    file: 'src/cli/start/launcher.ts',
    text: 'launchers.every(({ session }) => session === own.session) && hasOutputOf(own.parent)',
    replacement: 'hasOutputOf(own.parent)',
    tests: { 'test/cli/launcher.test.ts': [] },
  },
  {
    name: 'output that goes elsewhere is the background',
    file: 'src/cli/start/launcher.ts',
    text: '=== own.session) && hasOutputOf(own.parent)',
    replacement: '=== own.session) && (hasOutputOf(own.parent) || true)',
    tests: { 'test/cli/launcher.test.ts': [] },
  },
  {
    name: 'an npm that is gone is noticed behind a shell that lives',
    file: 'src/cli/start/launcher.ts',
    text: 'process.ppid === parent && !links.some(hasLostParent)',
    replacement: 'process.ppid === parent && (!links.some(hasLostParent) || true)',
    tests: { 'test/cli/launcher.test.ts': [] },
  },
  {
    name: 'the outer one of two npm is watched, too',
    file: 'src/cli/start/launcher.ts',
    text: 'chain.findLastIndex(isPackageManager)',
    replacement: 'chain.findIndex(isPackageManager)',
    tests: { 'test/cli/launcher.test.ts': [] },
  },
]
