import { expect, test } from 'vitest'
import { progressOn } from './progress.ts'

function recorded(isTTY: boolean) {
  const written: string[] = []
  let now = 1_000
  const progress = progressOn({ isTTY, write: (text: string) => written.push(text) }, () => now)
  const wait = (ms: number) => {
    now += ms
  }
  return { written, progress, wait }
}

test('a terminal has one line that is written over, and cleared by an empty text', () => {
  const { written, progress } = recorded(true)
  for (const text of ['1 of 2', '2 of 2', '']) progress(text)
  expect(written).toEqual(['\r\x1b[K1 of 2', '\r\x1b[K2 of 2', '\r\x1b[K'])
})

test('a pipe gets the first line at once and another one after five seconds', () => {
  const { written, progress, wait } = recorded(false)
  progress('1 of 4')
  wait(4_999)
  progress('2 of 4')
  wait(1)
  progress('3 of 4')
  progress('')
  wait(60_000)
  progress('')
  progress('4 of 4')
  expect(written).toEqual(['1 of 4\n', '3 of 4\n', '4 of 4\n'])
})
