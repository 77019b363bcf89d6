import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addProcessOptions, processOptionsOf } from '../../src/cli/start/process-options.ts'

const parse = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const command = new Command('start').exitOverride()
  addProcessOptions(command)
  command.parse(['node', 'good-job', ...args])
  return processOptionsOf(command, env)
}

test.each([
  [[], {}, undefined, undefined],
  [['--probe-port', '7001', '--pidfile', 'tmp/a.pid'], {}, 7001, 'tmp/a.pid'],
  [[], { GOOD_JOB_PROBE_PORT: ' 7002 ', GOOD_JOB_PIDFILE: 'b.pid' }, 7002, 'b.pid'],
  [['--probe-port', '0'], { GOOD_JOB_PROBE_PORT: '7002' }, 0, undefined],
  [[], { GOOD_JOB_PROBE_PORT: '', GOOD_JOB_PIDFILE: ' ' }, undefined, undefined],
  [['--probe-port=65535'], {}, 65_535, undefined],
])('%j with %j', (args, env, probePort, pidfile) => {
  expect(parse(args, env)).toEqual({ probePort, pidfile })
})

const PORT = 'expected a port from 1 to 65535, or 0 for any free one, got'

test.each<[string, string[], Record<string, string>, string]>([
  ['a port beyond 65535', ['--probe-port', '70000'], {}, `--probe-port: ${PORT} "70000"`],
  ['a negative port', ['--probe-port=-1'], {}, `--probe-port: ${PORT} "-1"`],
  ['a port that is no number', ['--probe-port', 'http'], {}, `--probe-port: ${PORT} "http"`],
  ['an empty port', ['--probe-port', ''], {}, `--probe-port: ${PORT} ""`],
  ['a fraction', ['--probe-port', '80.5'], {}, `--probe-port: ${PORT} "80.5"`],
  ['the same in the environment', [], { GOOD_JOB_PROBE_PORT: '1e3' }, `GOOD_JOB_PROBE_PORT: ${PORT} "1e3"`],
  ['an empty path', ['--pidfile', ' '], {}, '--pidfile: expected the path of a file, got " "'],
  [
    '--daemonize',
    ['--daemonize'],
    {},
    '--daemonize is not supported. Run the worker in the foreground and let systemd, a',
  ],
])('%s is refused', (_, args, env, message) => {
  expect(() => parse(args, env)).toThrow(message)
})
