import type { Health } from '../probe/health.ts'
import type { CapsuleState } from './capsule.ts'
import type { CapsuleParts } from './capsule-parts.ts'

/** A worker whose claims have failed for this long, or whose outcomes have waited for this long, is not ready. */
const PATIENCE_MS = 60_000

export interface WorkerHealthOptions {
  readonly state: () => CapsuleState
  /** undefined before the first start. */
  readonly parts: () => HealthParts | undefined
}

type HealthParts = Pick<CapsuleParts, 'lanes' | 'notifier' | 'isPolling' | 'pools' | 'performer'>

/** What probes report about the worker of this process. A blocked event loop cannot answer at all. */
export const workerHealth = ({ state, parts }: WorkerHealthOptions): Health => {
  const running = (): HealthParts | undefined => (state() === 'running' ? parts() : undefined)
  const whyNotReady = () => {
    const worker = running()
    return worker === undefined ? NOT_RUNNING[state()] : complaintOf(worker, performance.now())
  }
  return {
    started: () => running() !== undefined,
    connected: () => isConnected(running()),
    ready: () => whyNotReady() === undefined,
    whyNotReady,
  }
}

const NOT_RUNNING: Readonly<Record<CapsuleState, string | undefined>> = {
  created: 'the worker has not been started',
  starting: 'the worker is starting',
  running: undefined,
  stopping: 'the worker is shutting down',
  stopped: 'the worker was shut down',
}

/** Without LISTEN the connections for claims count, as in GoodJob, whose notifier is connected then without listening. */
const isConnected = (worker: HealthParts | undefined): boolean => {
  if (worker === undefined) return false
  return worker.notifier?.isConnected ?? hasItsLanes(worker)
}

const hasItsLanes = ({ lanes }: HealthParts): boolean => lanes.every(({ isReady }) => isReady)

const complaintOf = (worker: HealthParts, nowMs: number): string | undefined => {
  if (!hasItsLanes(worker)) return 'the connection that claims jobs is lost'
  if (!worker.isPolling && !isConnected(worker)) return 'the connection that listens is lost, and polls are off'
  return claimComplaint(worker, nowMs) ?? outcomeComplaint(worker, nowMs)
}

const claimComplaint = ({ pools }: HealthParts, nowMs: number): string | undefined => {
  for (const { claims, pool } of pools.schedulers) {
    if (!claims.hasSucceeded) return `no claim of the pool ${pool.name} has succeeded yet`
    const overdueMs = claims.overdueMs(nowMs)
    if (overdueMs >= PATIENCE_MS) return `no claim of the pool ${pool.name} has succeeded for ${seconds(overdueMs)} s`
  }
  return undefined
}

const outcomeComplaint = ({ performer }: HealthParts, nowMs: number): string | undefined => {
  const waitingMs = nowMs - (performer.unsettledSinceMs ?? nowMs)
  return waitingMs < PATIENCE_MS ? undefined : `an outcome has been waiting for ${seconds(waitingMs)} s to be written`
}

const seconds = (ms: number): number => Math.floor(ms / 1000)
