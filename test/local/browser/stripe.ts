/**
 * Stripe.js as far as Bursar's pages use it, for the double of Stripe: `elements`, the card in a payment element,
 * `createConfirmationToken` and `handleNextAction`. It draws into the page itself, where Stripe has a frame.
 */

const NOT_FINISHED = 'Your card details are incomplete.'
const AUTHENTICATION_FAILED =
  'We are unable to authenticate your payment method. Please choose a different payment method and try again.'

interface CardInputs {
  number: HTMLInputElement
  expiry: HTMLInputElement
  cvc: HTMLInputElement
}

const make = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] => {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

/** Asks the local stack, which acts as Stripe. */
async function control(path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`/_local/stripe/${path}`, { method: 'POST', body: JSON.stringify(body) })
  const text = await answer.text()
  const value = text === '' ? {} : JSON.parse(text)
  if (!answer.ok) throw new Error(value.message)
  return value
}

let fields = 0

function field(label: string, attributes: Record<string, string>): [HTMLElement, HTMLInputElement] {
  fields += 1
  const id = `stripe-${fields}`
  const input = make('input', { id, ...attributes })
  return [make('div', { class: 'field' }, make('label', { for: id }, label), input), input]
}

function cardElement(inputs: (given: CardInputs) => void) {
  const [numberField, number] = field('Card number', { autocomplete: 'cc-number', inputmode: 'numeric' })
  const [expiryField, expiry] = field('Expiry (MM/YY)', { autocomplete: 'cc-exp', inputmode: 'numeric' })
  const [cvcField, cvc] = field('Security code', { autocomplete: 'cc-csc', inputmode: 'numeric' })
  const hint = make(
    'p',
    { class: 'hint' },
    'Stripe’s test cards work here: 4242 4242 4242 4242; 4000 0000 0000 0002 is declined; 4000 0025 0000 3155 asks for 3-D Secure.',
  )
  const box = make(
    'div',
    { class: 'stripe' },
    numberField,
    make('div', { class: 'pair' }, expiryField, cvcField),
    hint,
  )
  inputs({ number, expiry, cvc })
  const noop = () => element
  const element = {
    mount(place: string | HTMLElement) {
      const target = typeof place === 'string' ? document.querySelector(place) : place
      target?.replaceChildren(box)
    },
    unmount: () => box.remove(),
    destroy: () => box.remove(),
    update: noop,
    on: noop,
    off: noop,
    focus: () => number.focus(),
  }
  return element
}

const digits = (input: HTMLInputElement) => input.value.replaceAll(/\D/g, '')

function cardOf({ number, expiry, cvc }: CardInputs) {
  const [month = '', year = ''] = expiry.value.split('/').map((part) => part.trim())
  return { number: digits(number), exp_month: Number(month), exp_year: 2000 + Number(year), cvc: digits(cvc) }
}

const isFinished = (card: ReturnType<typeof cardOf>) =>
  card.number.length >= 12 &&
  card.exp_month >= 1 &&
  card.exp_month <= 12 &&
  card.exp_year > 2000 &&
  card.cvc.length >= 3

/** The bank's page: the person agrees or refuses, and the double hears of it. */
function askLikeABank(paymentIntent: string): Promise<boolean> {
  return new Promise((resolve) => {
    const yes = make('button', { type: 'button' }, 'Approve')
    const no = make('button', { type: 'button', class: 'quiet' }, 'Refuse')
    const title = make('h2', { id: 'bank-title' }, '3-D Secure')
    const dialog = make(
      'dialog',
      { 'aria-labelledby': 'bank-title' },
      title,
      make('p', {}, 'This stands for the page of your bank. Do you approve the payment?'),
      make('div', { class: 'actions' }, yes, no),
    )
    const say = (approved: boolean) => async () => {
      await control('authenticate', { paymentIntent, outcome: approved ? 'succeed' : 'fail' })
      dialog.remove()
      resolve(approved)
    }
    yes.addEventListener('click', say(true))
    no.addEventListener('click', say(false))
    dialog.addEventListener('cancel', say(false))
    document.body.append(dialog)
    dialog.showModal()
  })
}

function stripeDouble(publishableKey: string) {
  if (!/^pk_test_/.test(publishableKey))
    throw new Error('The double of Stripe.js takes a publishable test key.')
  return {
    elements() {
      let inputs: CardInputs | undefined
      return {
        create: () =>
          cardElement((given) => {
            inputs = given
          }),
        getElement: () => null,
        update: () => {},
        submit: async () =>
          inputs && isFinished(cardOf(inputs)) ? {} : { error: { message: NOT_FINISHED } },
        card: () => inputs && cardOf(inputs),
      }
    },
    async createConfirmationToken({
      elements,
    }: {
      elements: { card(): ReturnType<typeof cardOf> | undefined }
    }) {
      const card = elements.card()
      if (!card) return { error: { message: NOT_FINISHED } }
      try {
        return { confirmationToken: await control('confirmation-tokens', card) }
      } catch (error) {
        return { error: { message: (error as Error).message } }
      }
    },
    async handleNextAction({ clientSecret }: { clientSecret: string }) {
      const [paymentIntent = ''] = clientSecret.split('_secret_')
      try {
        return (await askLikeABank(paymentIntent)) ? {} : { error: { message: AUTHENTICATION_FAILED } }
      } catch (error) {
        return { error: { message: (error as Error).message } }
      }
    },
  }
}

Object.assign(window, { Stripe: stripeDouble })
