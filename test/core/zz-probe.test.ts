import { expect, test } from 'vitest'
import { openCardWorld, expectSettled, expectUsable } from '../support/stripe-state.ts'
test('plain', async () => {
  for (let i = 0; i < 16; i++) {
    let t = performance.now()
    const lap = (w: string) => { const n = performance.now(); if (i % 5 == 0) process.stdout.write(`${w} ${(n - t).toFixed(0)}  `); t = n }
    const world = await openCardWorld()
    lap('open')
      const card = await world.newCard('4242424242424242')
    lap('card')
      expect(await world.verify(card)).toBe('proved')
    lap('verify')
      const e = await world.events()
    lap('events ' + e.length)
      await world.deliver()
    lap('deliver')
      await expectSettled(world, 'x')
    lap('settled')
      await expectUsable(world, 'x')
    lap('usable')
    world.double.resetCalls()
    await world.atStripe()
    lap('atStripe')
    await world.stored()
    lap('stored')
    await world.close()
    lap('close')
    if (i % 5 == 0) process.stdout.write('\n')
  }
})
