import type { CronExpression } from '../src/cron/expression/cron-expression.ts'
import { parseCron } from '../src/cron/expression/cron-expression.ts'
import type { CronCase } from './cron-cases.ts'

/** What Ruby says of one case. */
export type RubyAnswer =
  | { readonly kind: 'none' | 'raises'; readonly text: string }
  | {
      readonly kind: 'cron'
      readonly original: string
      /** For each instant up to three occurrences in seconds since 1970; the name of an exception ends a list. */
      readonly next: readonly (readonly (number | string)[])[]
    }

/** Answers all cases of `args[:cases]`. GoodJob accepts what Fugit.parse returns as a Fugit::Cron, and calculates from an EoTime of now. */
export const ASK_FUGIT = `
  before = ENV['TZ']
  answers = args[:cases].map do |given|
    each = given.transform_keys(&:to_sym)
    ENV['TZ'] = each[:zone]
    cron = begin
      Fugit.parse(each[:cron])
    rescue StandardError => error
      next { kind: 'raises', text: "#{error.class}: #{error.message[0, 100]}" }
    end
    next { kind: 'none', text: cron.class.to_s } unless cron.instance_of?(Fugit::Cron)

    lists = each[:instants].map do |instant|
      list = []
      time = EtOrbi::EoTime.new(instant, nil)
      3.times do
        time = cron.next_time(time)
        list << time.to_i
      rescue StandardError => error
        list << (error.message.start_with?('too many loops') ? 'too many loops' : error.class.to_s)
        break
      end
      list
    end
    { kind: 'cron', original: cron.original, next: lists }
  end
  ENV['TZ'] = before
  answers`

export interface Comparison {
  readonly agreements: number
  /** Cases that Ruby takes and Node refuses on purpose, by the reason. */
  readonly refusals: ReadonlyMap<string, number>
  readonly differences: readonly string[]
}

/** What Node refuses although Ruby's parser takes it. */
const INTENDED = /never fires|picks a random value|there is no time zone/

export const compare = (cases: readonly CronCase[], answers: readonly RubyAnswer[]): Comparison => {
  const refusals = new Map<string, number>()
  const differences = cases.flatMap((each, index) => {
    const answer = answers[index]
    if (answer === undefined) return [`${each.cron}: no answer`]
    const result = difference(each, answer)
    if (result === undefined) return []
    if (!('refusal' in result)) return [`${JSON.stringify(each.cron)} (${each.zone}): ${result.text}`]
    refusals.set(result.refusal, (refusals.get(result.refusal) ?? 0) + 1)
    return []
  })
  const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0)
  return { agreements: cases.length - differences.length - refused, refusals, differences }
}

const difference = (each: CronCase, answer: RubyAnswer): { text: string } | { refusal: string } | undefined => {
  let cron: CronExpression
  try {
    cron = parseCron(each.cron, { zone: each.zone })
  } catch (error) {
    if (answer.kind !== 'cron') return undefined
    const reason = INTENDED.exec(String(error))?.[0]
    const fires = answer.next.some(([first]) => typeof first === 'number')
    if (reason === 'never fires' && fires) return { text: `${error}, in Ruby it fires` }
    return reason === undefined ? { text: `${error}, in Ruby it is ${answer.original}` } : { refusal: reason }
  }
  if (answer.kind !== 'cron') return { text: `is ${cron.fields}, in Ruby ${answer.kind} ${answer.text}` }
  const lists = each.instants.flatMap((instant, index) => listDifference(cron, instant, answer.next[index] ?? []))
  return lists.length === 0 ? undefined : { text: lists.join('; ') }
}

const listDifference = (cron: CronExpression, instant: number, expected: readonly (number | string)[]): string[] => {
  let after = new Date(instant * 1000)
  for (const each of expected) {
    const { at, isAfterSkip } = cron.find(after)
    // Ruby gives up after fewer steps than Node.
    if (each === 'too many loops') return []
    if (typeof each === 'string') return isAfterSkip ? [] : [`after ${iso(after)} ${iso(at)}, in Ruby ${each}`]
    if (at?.getTime() !== each * 1000) return [`after ${iso(after)} ${iso(at)}, in Ruby ${iso(new Date(each * 1000))}`]
    if (isAfterSkip) return [`after ${iso(after)} a skip, in Ruby ${iso(at)}`]
    after = at
  }
  return []
}

const iso = (date: Date | undefined): string => date?.toISOString() ?? 'none'
