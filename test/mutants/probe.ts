import type { Mutant } from './mutant.ts'

const SERVER = 'test/probe/server.test.ts'
const HEALTH = 'test/probe/health.test.ts'
const PIDFILE = 'test/probe/pidfile.test.ts'
const SYSTEMD = 'test/probe/systemd.test.ts'
const START = 'test/probe/start.test.ts'

/** What other programs see of a process: probes, notifications to systemd, the pid file. */
export const PROBE_MUTANTS: readonly Mutant[] = [
  {
    name: 'the query of a probe is ignored',
    file: 'src/probe/handler.ts',
    text: "(request.url ?? '').split('?')",
    replacement: "[request.url ?? '']",
    tests: { [SERVER]: [] },
  },
  {
    name: 'a probe without a Host is answered',
    file: 'src/probe/server.ts',
    text: 'requireHostHeader: false,',
    replacement: '',
    tests: { [SERVER]: ['a request without a Host is answered'] },
  },
  {
    name: 'a silent client is disconnected',
    file: 'src/probe/server.ts',
    text: 'headersTimeout: REQUEST_TIMEOUT_MS,\n        requestTimeout: REQUEST_TIMEOUT_MS,',
    replacement: '',
    tests: { [SERVER]: ['clients that send nothing'] },
  },
  {
    name: 'a silent client does not delay the exit',
    file: 'src/probe/server.ts',
    text: 'this.#server.closeAllConnections()',
    replacement: '',
    tests: { [SERVER]: ['close ends the connections of silent clients at once'] },
  },
  {
    name: 'a worker that drains is not started',
    file: 'src/worker/health.ts',
    text: "state() === 'running' ? parts() : undefined",
    replacement: 'parts()',
    tests: {
      [HEALTH]: ['a worker is started, connected and ready'],
      [START]: ['a worker answers probes, notifies systemd'],
    },
  },
  {
    name: 'a worker without a claim is not ready',
    file: 'src/worker/health.ts',
    text: 'if (!claims.hasSucceeded) return',
    replacement: 'if (false) return',
    tests: { [HEALTH]: ['a worker is not ready before its first claim has succeeded'] },
  },
  {
    name: 'a failed claim is not a success',
    file: 'src/worker/pool/scheduler.ts',
    text: 'this.claims.succeed()',
    replacement: '',
    tests: { [HEALTH]: [] },
  },
  {
    name: 'the first of many failed claims counts',
    file: 'src/worker/pool/claim-record.ts',
    text: 'this.#wantedSinceMs ??= nowMs',
    replacement: '',
    tests: { [HEALTH]: ['a worker whose claims fail for a minute is not ready'] },
  },
  {
    name: 'outcomes that wait make a worker unready',
    file: 'src/worker/health.ts',
    text: 'claimComplaint(worker, nowMs) ?? outcomeComplaint(worker, nowMs)',
    replacement: 'claimComplaint(worker, nowMs)',
    tests: { [HEALTH]: ['a worker whose outcome waits for a minute is not ready'] },
  },
  {
    name: 'a worker without its lane is not ready',
    file: 'src/worker/health.ts',
    text: "if (!hasItsLanes(worker)) return 'the connection",
    replacement: "if (false) return 'the connection",
    tests: { [HEALTH]: ['a worker without its connection for claims is not ready'] },
  },
  {
    name: 'a few failures of LISTEN are no lost connection, many are',
    file: 'src/worker/notifier.ts',
    text: 'this.#failedTries += 1',
    replacement: '',
    tests: { [HEALTH]: ['a worker stays connected until LISTEN has failed six times'] },
  },
  {
    name: 'the watchdog is notified while the worker drains',
    file: 'src/probe/systemd.ts',
    text: "    this.#notify('STOPPING=1')\n",
    replacement: "    this.#notify('STOPPING=1')\n    this.close()\n",
    tests: { [SYSTEMD]: ['the watchdog is notified twice an interval'] },
  },
  {
    name: 'a watchdog for another process is left alone',
    file: 'src/probe/systemd.ts',
    text: 'if (pid !== undefined && pid !== String(process.pid)) return undefined',
    replacement: '',
    tests: { [SYSTEMD]: ['there is no watchdog if its variables name another process'] },
  },
  {
    name: 'a socket that is missing does not end the worker',
    file: 'src/probe/systemd.ts',
    text: '    } catch (error) {\n      if (!this.#hasWarned)',
    replacement: '    } catch (error) {\n      throw error\n      if (!this.#hasWarned)',
    tests: { [SYSTEMD]: ['a socket that does not exist is one warning'] },
  },
  {
    name: 'an abstract socket begins with NUL',
    file: 'src/probe/datagram.ts',
    text: 'isAbstract ? `\\0${address.slice(1)}` : `${address}\\0`',
    replacement: '`${address}\\0`',
    tests: { [SYSTEMD]: ['each state is one datagram to a socket with a name that is abstract'] },
  },
  {
    name: 'the pid file of a running process is not taken',
    file: 'src/probe/pidfile.ts',
    text: 'if (owner !== undefined || tries === TRIES)',
    replacement: 'if (tries === TRIES)',
    tests: {
      [PIDFILE]: ['the file of a running process refuses the start'],
      [START]: ['a killed worker leaves its pid file'],
    },
  },
  {
    name: 'the pid file of a dead process is no obstacle',
    file: 'src/probe/pidfile.ts',
    text: '|| !isRunning(pid) ? undefined',
    replacement: '? undefined',
    tests: { [PIDFILE]: ['a file of a process that has ended is replaced'] },
  },
  {
    name: 'the pid file of a container names the same process',
    file: 'src/probe/pidfile.ts',
    text: '|| pid === process.pid ||',
    replacement: '||',
    tests: { [PIDFILE]: ['a file of a container whose process had the same id is replaced'] },
  },
  {
    name: 'the pid file is created, never overwritten',
    file: 'src/probe/pidfile.ts',
    text: "{ flag: 'wx' }",
    replacement: "{ flag: 'w' }",
    tests: { [PIDFILE]: ['the file of a running process refuses the start'] },
  },
  {
    name: 'the pid file of a successor is left alone',
    file: 'src/probe/pidfile.ts',
    text: "if (readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file)",
    replacement: 'rmSync(file)',
    tests: { [PIDFILE]: ['the file of a successor is not removed'] },
  },
]
