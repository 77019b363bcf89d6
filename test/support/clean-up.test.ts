import { expect, test } from 'vitest'
import { inTurn } from './clean-up.ts'

test('a clean-up runs each step in its turn, also when an earlier one throws, and throws at the end', async () => {
  const done: string[] = []
  const step = (name: string, error?: Error) => async () => {
    await Promise.resolve()
    done.push(name)
    if (error) throw error
  }
  const missing = undefined as unknown as { close(): void }
  await inTurn(step('one'), step('two'))()
  const one = inTurn(step('three'), step('four', new Error('no browser')), step('five'))
  await expect(one()).rejects.toThrow('no browser')
  const two = inTurn(() => missing.close(), step('six', new Error('no worker')), step('seven'))
  await expect(two()).rejects.toThrow(/^TypeError: .*close.*\nError: no worker$/)
  expect(done).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'seven'])
})
