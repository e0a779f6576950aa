import { beforeEach, expect, test } from 'vitest'
import { blockCard } from '../../core/cards/blocks.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const list = async (cursor?: string) =>
  (
    await app.request('GET', `/ops/read/blocked-cards${cursor === undefined ? '' : `?cursor=${cursor}`}`, {
      operator: 'read',
    })
  ).body

test('200 lists each blocked card once, the newest first, page by page', async () => {
  expect(await list()).toEqual({ cards: [], next: null })
  const ports = await app.ports()
  const digests = []
  for (let at = 0; at < 52; at++) {
    app.advance(1)
    digests.unshift((await blockCard(ports, `number${at}`, 'tested')).digest)
  }
  const first = await list()
  const second = await list(first.next)
  expect([first.cards.length, second.next]).toEqual([50, null])
  expect([...first.cards, ...second.cards].map(({ digest }) => digest)).toEqual(digests)
})
