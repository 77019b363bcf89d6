import { SerializationError } from '../../errors.ts'

/** The URI of a Rails record, `gid://app/Model::Name/id?params`. */
export class GlobalID {
  readonly app: string
  readonly modelName: string
  /** A text if it was read from a gid; an array for a composite key. */
  readonly modelId: string | readonly string[]
  readonly params: Readonly<Record<string, string>>
  #text: string

  /** Throws SerializationError if the id is blank or the app is not a host name. */
  constructor(
    app: string,
    modelName: string,
    modelId: string | number | bigint | readonly (string | number | bigint)[],
    params: Readonly<Record<string, string>> = {},
  ) {
    this.app = app
    this.modelName = modelName
    this.modelId = Array.isArray(modelId) ? modelId.map(String) : String(modelId)
    this.params = params
    assertComplete(this)
    this.#text = gidText(this)
  }

  /** Reads a gid or its base64url form, and keeps the spelling; null if the text is neither. */
  static parse(text: unknown): GlobalID | null {
    if (typeof text !== 'string') return null
    const gid = BASE64.test(text) ? Buffer.from(text, 'base64url').toString() : text
    const parsed = parseGid(gid)
    if (parsed) parsed.#text = gid
    return parsed
  }

  toString(): string {
    return this.#text
  }

  toJSON(): string {
    return this.#text
  }
}

const BASE64 = /^[\w-]+={0,2}$/
const APP = /^[a-zA-Z0-9_-]+$/
// The characters that Ruby's URI parser accepts in a path or query; any other makes the whole gid invalid in Ruby.
const GID =
  /^gid:\/\/([a-zA-Z0-9_-]+)\/([\w.~!$&'()*+,;=:@%-]+)\/([\w.~!$&'()*+,;=:@%/-]+)(?:\?([\w.~!$&'()*+,;=:@%/?-]*))?$/
const MAX_COMPOSITE_PARTS = 20

const parseGid = (text: string): GlobalID | null => {
  const [, app, modelName, path, query] = GID.exec(text) ?? []
  if (app === undefined || modelName === undefined || path === undefined) return null
  const ids = path.split('/').map(unescapeForm)
  if (ids.length > MAX_COMPOSITE_PARTS || ids.some((id) => id.trim() === '')) return null
  const params = Object.fromEntries(new URLSearchParams(query ?? ''))
  return new GlobalID(app, modelName, ids.length === 1 ? ids.join() : ids, params)
}

const assertComplete = ({ app, modelName, modelId }: GlobalID): void => {
  const ids = typeof modelId === 'string' ? [modelId] : modelId
  if (ids.length === 0 || ids.some((id) => id.trim() === '')) {
    throw new SerializationError(`Unable to serialize ${modelName} without an id`)
  }
  if (!APP.test(app)) {
    throw new SerializationError(`A GlobalID app has only letters, digits, "-" and "_", got ${JSON.stringify(app)}`)
  }
}

const gidText = ({ app, modelName, modelId, params }: GlobalID): string => {
  const path = typeof modelId === 'string' ? escapeForm(modelId) : modelId.map(escapeForm).join('/')
  const query = new URLSearchParams(params).toString()
  return `gid://${app}/${modelName}/${path}${query === '' ? '' : `?${query}`}`
}

/** Like Ruby's CGI.escape. */
const escapeForm = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')

/** Like Ruby's CGI.unescape, which does not change a lone `%`. */
const unescapeForm = (text: string): string =>
  text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
