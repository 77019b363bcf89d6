/** The parts of a page that a visitor can use without its script. */

interface Tag {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
}

/** Something to press: a form's button, or a link that the page's script turns into a form. */
export interface Control {
  /** Path and query that pressing it goes to. */
  readonly action: string
  /** What Rails takes it for: 'get', 'post', 'put', 'delete'. */
  readonly method: string
  readonly isDisabled: boolean
  /** What the form sends along, with the button's own name and value. */
  readonly fields: readonly (readonly [string, string])[]
}

const TAG = /<(\/?)([a-z][a-z0-9-]*)((?:\s+[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?)*)\s*\/?>/gi
const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ' }

/** The text with its character references replaced. */
const decode = (html: string): string =>
  html.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (reference, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    return ENTITIES[name] ?? reference
  })

/** The visible text, on one line. */
export const textOf = (html: string): string =>
  decode(
    html
      .replace(/<(script|style|svg)\b[\s\S]*?<\/\1>/gi, ' ')
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' '),
  ).trim()

/** Where the links of a page lead, and where its script fetches parts of it. */
export const linksOf = (html: string): string[] =>
  [...tagsOf(html)].flatMap(({ tag: { name, attributes } }) => {
    if (name === 'a') return attributes.get('href') ?? []
    return name === 'turbo-frame' ? (attributes.get('src') ?? []) : []
  })

/** The content of `<meta name=…>`. */
export const metaOf = (html: string, name: string): string | undefined => {
  for (const { tag } of tagsOf(html))
    if (tag.name === 'meta' && tag.attributes.get('name') === name) return tag.attributes.get('content')
  return undefined
}

interface Form {
  readonly attributes: ReadonlyMap<string, string>
  readonly fields: [string, string][]
}

/** Everything on the page that changes something when pressed. */
export const controlsOf = (html: string): Control[] => {
  const forms: Form[] = []
  const pressable: { readonly tag: Tag; readonly form: Form | undefined }[] = []
  let open: Form | undefined
  for (const { tag, isEnd } of tagsOf(html)) {
    if (tag.name === 'form') open = isEnd ? undefined : startForm(tag, forms)
    else if (isEnd) continue
    else if (tag.name === 'input' && tag.attributes.get('type') === 'hidden') addField(open, tag)
    else if (tag.name === 'button' || (tag.name === 'input' && tag.attributes.get('type') === 'submit'))
      pressable.push({ tag, form: open })
    else if (tag.name === 'a' && tag.attributes.has('data-method')) pressable.push({ tag, form: undefined })
  }
  return pressable.flatMap(({ tag, form }) => controlOf(tag, form, forms) ?? [])
}

const startForm = (tag: Tag, forms: Form[]): Form => {
  const form: Form = { attributes: tag.attributes, fields: [] }
  forms.push(form)
  return form
}

const addField = (form: Form | undefined, tag: Tag): void => {
  const name = tag.attributes.get('name')
  if (form !== undefined && name !== undefined) form.fields.push([name, tag.attributes.get('value') ?? ''])
}

const controlOf = (tag: Tag, enclosing: Form | undefined, forms: readonly Form[]): Control | undefined => {
  const attribute = (name: string): string | undefined => tag.attributes.get(name)
  const isDisabled = tag.attributes.has('disabled') || (attribute('class') ?? '').split(/\s+/).includes('disabled')
  const method = attribute('data-method')
  if (tag.name === 'a') return { action: attribute('href') ?? '', method: method ?? 'get', isDisabled, fields: [] }

  const named = attribute('form')
  const form = named === undefined ? enclosing : forms.find((each) => each.attributes.get('id') === named)
  if (form === undefined || attribute('type') === 'button') return undefined
  const own = attribute('name')
  return {
    action: attribute('formaction') ?? form.attributes.get('action') ?? '',
    method: new Map(form.fields).get('_method') ?? form.attributes.get('method') ?? 'get',
    isDisabled,
    fields: own === undefined ? form.fields : [...form.fields, [own, attribute('value') ?? '']],
  }
}

function* tagsOf(html: string): Generator<{ readonly tag: Tag; readonly isEnd: boolean }> {
  const markup = html.replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, '')
  for (const [, slash, name = '', rest = ''] of markup.matchAll(TAG)) {
    const attributes = new Map<string, string>()
    for (const [, key = '', double, single, bare] of rest.matchAll(ATTRIBUTE))
      attributes.set(key.toLowerCase(), decode(double ?? single ?? bare ?? ''))
    yield { tag: { name: name.toLowerCase(), attributes }, isEnd: slash === '/' }
  }
}
