import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { describeProcessOptions } from '../../src/cli/start/process-options.ts'
import { describeOptions } from '../../src/cli/start/worker-options.ts'
import { OPTION_RULES } from '../../src/configuration.ts'
import { makeAppFolder, TIMED_JOBS } from '../support/app-folder.ts'
import { inTurn } from '../support/clean-up.ts'
import { Cli } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'
import { freePort } from '../support/loopback.ts'
import { NotifySocket } from '../support/notify-socket.ts'

const ROOT = join(import.meta.dirname, '../..')
const CLI_PATH = 'node_modules/good-job-node/dist/cli.js'
const page = readFileSync(join(ROOT, 'docs/deployment.md'), 'utf8')

/** The one block of the page in this language. */
const block = (language: string): string => {
  const [, ...parts] = page.split(`\n\`\`\`${language}\n`)
  expect(parts).toHaveLength(1)
  return (parts[0] ?? '').split('\n```')[0] ?? ''
}

const { url, close } = await openWorld()
const app = await makeAppFolder(ROOT, { 'jobs.js': TIMED_JOBS })
afterAll(inTurn(close, () => app[Symbol.asyncDispose]()))

/** Runs a command of the page as it stands, in the folder of the application. */
const run = (command: readonly string[], env: NodeJS.ProcessEnv): Cli => {
  const [node, cli, ...args] = command
  expect([node, cli]).toEqual([expect.stringMatching(/^(\/usr\/bin\/)?node$/), CLI_PATH])
  return new Cli(args, { cwd: app.path, env: { DATABASE_URL: url, ...env }, script: CLI_PATH })
}

const variables = new Set([...describeOptions(), ...describeProcessOptions()].flatMap(({ environment }) => environment))
const connectTimeout = Number(OPTION_RULES.connectTimeout.fallback)
/** The grace of a shutdown beyond its timeout, and the removal of the process row of a job that ignores its signal. */
const STOP_SECONDS = 2 + 5

/** The sections of a unit file. */
const unitOf = (text: string) =>
  Object.fromEntries(
    text.split(/^\[(?=\w+\]$)/m).map((section) => {
      const [name = '', ...lines] = section.split('\n')
      return [name.replace(']', ''), Object.fromEntries(lines.filter(isSetting).map(splitSetting))]
    }),
  )
const isSetting = (line: string) => /^\w+=/.test(line)
const splitSetting = (line: string) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]

test('the command of the unit notifies systemd, and its timeouts fit the options', async () => {
  const { Service: service = {} } = unitOf(block('ini'))
  expect(service.Type).toBe('notify')
  expect(Number(service.TimeoutStartSec)).toBeGreaterThan(connectTimeout)
  const command = String(service.ExecStart).split(' ')
  const shutdownTimeout = Number(command[command.indexOf('--shutdown-timeout') + 1])
  expect(Number(service.TimeoutStopSec)).toBeGreaterThan(shutdownTimeout + STOP_SECONDS)
  await using socket = await NotifySocket.bind(join(app.path, 'notify'))
  await using worker = run(command, {
    NOTIFY_SOCKET: socket.address,
    WATCHDOG_USEC: String(Number(service.WatchdogSec) * 1e6),
  })
  await socket.receives(({ text }) => text === 'READY=1')
  worker.signal('SIGTERM')
  await socket.receives(({ text }) => text === 'STOPPING=1')
  expect((await worker.ended()).code).toBe(0)
})

test('systemd accepts the unit, on machines that have systemd', async () => {
  if (!existsSync('/usr/bin/systemd-analyze')) {
    console.info('The unit was not verified by systemd-analyze, because this machine has no systemd.')
    return
  }
  const verify = async (text: string): Promise<string> => {
    const unit = join(app.path, 'good-job.service')
    await writeFile(unit, text)
    return spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' }).stderr
  }
  // It also checks that the program and the folder exist.
  const text = block('ini').replace('/usr/bin/node', process.execPath).replace('/srv/app', app.path)
  expect(await verify(text)).toBe('')
  expect(await verify(text.replace('WatchdogSec=60', 'WatchdogSecs=60'))).toContain('WatchdogSecs')
})

test('the command and the health check of the Dockerfile work as they stand', async () => {
  const lines = block('dockerfile').split('\n')
  const command = JSON.parse(lines.find((line) => line.startsWith('CMD '))?.slice('CMD '.length) ?? '')
  const check = JSON.parse(lines.find((line) => line.startsWith('HEALTHCHECK '))?.split(' CMD ')[1] ?? '')
  const image = lines.find((line) => line.startsWith('ENV '))?.slice('ENV '.length) ?? ''
  const env = Object.fromEntries(image.split(' ').map(splitSetting)) as Record<string, string>
  expect(Object.keys(env).filter((name) => !variables.has(name))).toEqual([])
  // `docker stop` kills after ten seconds.
  expect(Number(env.GOOD_JOB_SHUTDOWN_TIMEOUT)).toBeLessThanOrEqual(10 - 2)
  const port = String(await freePort())
  const [node, ...args] = check as string[]
  const isHealthy = () => {
    try {
      execFileSync(node === 'node' ? process.execPath : '', args, { env: { ...env, GOOD_JOB_PROBE_PORT: port } })
      return true
    } catch {
      return false
    }
  }
  expect(isHealthy()).toBe(false)
  await using worker = run(command, { ...env, GOOD_JOB_PROBE_PORT: port })
  await worker.says(/ready/)
  expect(isHealthy()).toBe(true)
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
})

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly timeoutSeconds: number
  readonly failureThreshold?: number
}

test('the probes of the Kubernetes manifest are answered by its command, and its times fit the options', async () => {
  const { template } = parse(block('yaml')).spec
  const [container] = template.spec.containers
  const { command, env, ports, startupProbe, livenessProbe, readinessProbe } = container
  const given = Object.fromEntries(env.map(({ name, value }: Record<string, string>) => [name, value]))
  expect(Object.keys(given).filter((name) => !variables.has(name))).toEqual([])
  expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
    Number(given.GOOD_JOB_SHUTDOWN_TIMEOUT) + STOP_SECONDS,
  )
  expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBeGreaterThan(connectTimeout)
  expect(ports).toEqual([{ name: 'probes', containerPort: Number(given.GOOD_JOB_PROBE_PORT) }])
  const probes: Probe[] = [startupProbe, livenessProbe, readinessProbe]
  expect(probes.map(({ httpGet }) => httpGet.port)).toEqual(['probes', 'probes', 'probes'])
  const port = String(await freePort())
  await using worker = run(command, { ...given, DATABASE_URL: url, GOOD_JOB_PROBE_PORT: port })
  await worker.says(/ready/)
  const statuses = probes.map(async ({ httpGet }) => (await fetch(`http://127.0.0.1:${port}${httpGet.path}`)).status)
  expect(await Promise.all(statuses)).toEqual([200, 200, 200])
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
})
