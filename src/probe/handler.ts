import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Health } from './health.ts'

interface Answer {
  readonly status: 200 | 404 | 503
  readonly text: string
}

const OK: Answer = { status: 200, text: 'OK' }
const NOT_FOUND: Answer = { status: 404, text: 'Not found' }

const when = (isFine: boolean, fine: string, otherwise: string): Answer =>
  isFine ? { status: 200, text: fine } : { status: 503, text: otherwise }

const notReady = (reason: string | undefined): string => (reason === undefined ? 'Not ready' : `Not ready: ${reason}`)

/** Paths and texts of GoodJob 4.23.1 probe_server/healthcheck_middleware.rb; `/status/ready` is this package's own. */
const ANSWERS: Readonly<Record<string, (health: Health) => Answer>> = {
  '/': () => OK,
  '/status': () => OK,
  '/status/started': (health) => when(health.started(), 'Started', 'Not started'),
  '/status/connected': (health) => when(health.connected(), 'Connected', 'Not connected'),
  '/status/ready': (health) => when(health.ready(), 'Ready', notReady(health.whyNotReady?.())),
}

/**
 * A handler for `node:http` that answers probes, for a program that runs a worker beside its own server:
 * `createServer(probeHandler(capsule.health))`. Any method is accepted, the query is ignored. Paths: `/` and `/status`, `/status/started`,
 * `/status/connected`, `/status/ready`; 404 for all others.
 */
export const probeHandler =
  (health: Health): RequestListener =>
  (request: IncomingMessage, response: ServerResponse) => {
    const [path = ''] = (request.url ?? '').split('?')
    const { status, text } = ANSWERS[path]?.(health) ?? NOT_FOUND
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      connection: 'close',
    })
    response.end(text)
  }
