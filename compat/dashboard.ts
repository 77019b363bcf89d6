import { type Control, controlsOf, linksOf, metaOf, textOf } from './support/html.ts'

/** A page as received, after redirects. */
export interface Page {
  readonly status: number
  /** Path and query below the dashboard's address. */
  readonly path: string
  readonly html: string
  /** The visible text. */
  readonly text: string
  /** The message of the last action, good or bad. */
  readonly notice: string | undefined
  readonly alert: string | undefined
  readonly links: readonly string[]
  readonly controls: readonly Control[]
  readonly csrfToken: string | undefined
}

/** A control, named by the end of its path, and by its method if a path has several. */
export interface Press {
  readonly action: string
  readonly method?: 'post' | 'put' | 'delete'
  /** What the visitor filled in or ticked. */
  readonly fields?: readonly (readonly [string, string])[]
  /** Presses the button with this name and value, in a form with several. */
  readonly button?: readonly [string, string]
}

export type MassAction = 'retry' | 'discard' | 'reschedule' | 'destroy'
export type JobAction = MassAction | 'force_discard'

const MAX_REDIRECTS = 5

/**
 * A visitor of GoodJob's dashboard over HTTP: keeps cookies, and changes something only by a button that the page offers,
 * with that page's own CSRF token, as the browser's script sends it.
 */
export class Dashboard {
  readonly url: string
  readonly #cookies = new Map<string, string>()

  /** `url` is where the engine is mounted. */
  constructor(url: string) {
    this.url = url
  }

  /** Opens a page. */
  async open(path: string): Promise<Page> {
    return this.#request('GET', this.url + path)
  }

  /** Presses something on a page. Throws when the page does not offer it. */
  async press(page: Page, press: Press): Promise<Page> {
    const control = find(page, press)
    const body = formBody([...control.fields, ...(press.fields ?? [])])
    if (!body.has('_method') && control.method !== 'post') body.set('_method', control.method)
    return this.#request('POST', new URL(control.action, this.url).href, body, page)
  }

  /** A job's own button; on the list for what the job's page does not offer. */
  async job(id: string, action: JobAction): Promise<Page> {
    const page = await this.open(action === 'force_discard' ? `/jobs?query=${id}` : `/jobs/${id}`)
    if (action === 'destroy') return this.press(page, { action: `/jobs/${id}`, method: 'delete' })
    return this.press(page, { action: `/jobs/${id}/${action}` })
  }

  /** Ticks these jobs on the list of a state, or all of them, and presses the button above. */
  async mass(action: MassAction, jobs: readonly string[] | 'all', state?: string): Promise<Page> {
    const page = await this.open(state === undefined ? '/jobs' : `/jobs?state=${state}`)
    const fields: [string, string][] = jobs === 'all' ? [['all_job_ids', '1']] : jobs.map((id) => ['job_ids[]', id])
    return this.press(page, { action: '/jobs/mass_update', button: ['mass_action', action], fields })
  }

  /** The retry button on a batch's page. */
  async retryBatch(id: string): Promise<Page> {
    return this.press(await this.open(`/batches/${id}`), { action: `/batches/${id}/retry` })
  }

  /** A cron entry's button. */
  async cron(key: string, action: 'enqueue' | 'enable' | 'disable'): Promise<Page> {
    return this.press(await this.open('/cron_entries'), { action: `/cron_entries/${key}/${action}` })
  }

  /** Fills in the form of the pauses page. */
  async pause(type: 'queue' | 'job_class' | 'label', value: string): Promise<Page> {
    const fields = [['type', type] as const, ['value', value] as const]
    return this.press(await this.open('/pauses'), { action: '/pauses', method: 'post', fields })
  }

  /** The button beside something paused. */
  async unpause(type: 'queue' | 'job_class' | 'label', value: string): Promise<Page> {
    const page = await this.open('/pauses')
    const wanted = page.controls.find(({ action, method }) => {
      const { searchParams } = new URL(action, this.url)
      return method === 'delete' && searchParams.get('type') === type && searchParams.get('value') === value
    })
    if (wanted === undefined) throw new Error(`The dashboard shows no pause of ${type} ${value}`)
    return this.#request('POST', new URL(wanted.action, this.url).href, formBody(wanted.fields), page)
  }

  /** Opens every page that links lead to, each once: of a list only its states, no second page and no other language. */
  async crawl(): Promise<Page[]> {
    const pages: Page[] = []
    const seen = new Set<string>()
    const waiting = ['/jobs', '/jobs/metrics/primary_nav', '/jobs/metrics/job_status']
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      if (seen.has(path)) continue
      seen.add(path)
      const page = await this.open(path)
      pages.push(page)
      waiting.push(...page.links.flatMap((link) => this.#crawlable(link) ?? []))
    }
    return pages
  }

  /** The path below the dashboard that a link leads to. */
  #crawlable(link: string): string | undefined {
    const { href, pathname, searchParams } = new URL(link, `${this.url}/`)
    if (!href.startsWith(`${this.url}/`)) return undefined
    const state = searchParams.get('state')
    return pathname.slice(new URL(this.url).pathname.length) + (state === null ? '' : `?state=${state}`)
  }

  async #request(method: 'GET' | 'POST', url: string, body?: URLSearchParams, from?: Page): Promise<Page> {
    let response = await this.#fetch(method, url, body, from)
    for (let hops = 0; response.status >= 300 && response.status < 400 && hops < MAX_REDIRECTS; hops += 1)
      response = await this.#fetch('GET', new URL(response.headers.get('location') ?? '', response.url).href)
    return pageOf(response, this.url)
  }

  async #fetch(method: 'GET' | 'POST', url: string, body?: URLSearchParams, from?: Page): Promise<Response> {
    const headers = new Headers({ accept: 'text/html' })
    if (this.#cookies.size > 0) headers.set('cookie', [...this.#cookies].map((pair) => pair.join('=')).join('; '))
    if (from !== undefined) {
      headers.set('referer', this.url + from.path)
      headers.set('origin', new URL(this.url).origin)
      if (from.csrfToken !== undefined) headers.set('x-csrf-token', from.csrfToken)
    }
    const response = await fetch(url, { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) })
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';')
      const at = pair.indexOf('=')
      this.#cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
    return response
  }
}

const formBody = (fields: readonly (readonly [string, string])[]): URLSearchParams => {
  const body = new URLSearchParams()
  for (const [name, value] of fields) body.append(name, value)
  return body
}

const find = (page: Page, { action, method, button }: Press): Control => {
  const found = page.controls.find(
    (control) =>
      pathOf(control.action).endsWith(action) &&
      (method === undefined || control.method === method) &&
      (button === undefined || control.fields.some(([name, value]) => name === button[0] && value === button[1])),
  )
  if (found === undefined || found.isDisabled) {
    const state = found === undefined ? 'not there' : 'disabled'
    throw new Error(`${page.path} (${page.status}): ${button?.[1] ?? method ?? ''} ${action} is ${state}`)
  }
  return found
}

const pathOf = (action: string): string => action.split('?')[0] ?? ''

const pageOf = async (response: Response, root: string): Promise<Page> => {
  const html = await response.text()
  return {
    status: response.status,
    path: response.url.slice(root.length),
    html,
    text: textOf(html),
    notice: flashOf(html, 'text-success'),
    alert: flashOf(html, 'text-danger'),
    links: linksOf(html),
    controls: controlsOf(html),
    csrfToken: metaOf(html, 'csrf-token'),
  }
}

const flashOf = (html: string, icon: string): string | undefined => {
  for (const [toast] of html.matchAll(/<div class="toast-body[\s\S]*?<button/g))
    if (toast.includes(icon)) return textOf(toast.replace(/<button$/, ''))
  return undefined
}
