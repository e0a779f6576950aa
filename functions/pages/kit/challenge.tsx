import { render } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { Dialog } from './dialog.tsx'
import { loadScript, namedScript } from './load-script.ts'
import { words } from './words.ts'

/** The part of Cloudflare's script that is used here. */
interface Turnstile {
  render(
    box: HTMLElement,
    options: { sitekey: string; callback(answer: string): void; 'error-callback'(): void },
  ): string
  remove(widget: string): void
}

const CHALLENGE_JS = 'https://challenges.cloudflare.com/turnstile/v0/api.js'

/** The script of the challenge, from where the page says: from Cloudflare, or from its double on the local stack. */
async function turnstile(): Promise<Turnstile> {
  await loadScript(`${namedScript('challenge-js') ?? CHALLENGE_JS}?render=explicit`)
  return (window as unknown as { turnstile: Turnstile }).turnstile
}

/**
 * Asks the person to show that they are no program.
 * @returns the answer, for Bursar
 * @throws Error if the challenge cannot be shown, and the NotAllowedError of a person who closes it
 */
export async function solve({ siteKey }: { siteKey: string }): Promise<string> {
  const script = await turnstile()
  const place = document.createElement('div')
  document.body.append(place)
  try {
    return await new Promise<string>((resolve, reject) => {
      const stop = () => reject(new DOMException(words.stopped, 'NotAllowedError'))
      const fail = () => reject(new Error('The challenge could not be shown.'))
      render(
        <Dialog title={words.challengeTitle} onClose={stop}>
          <p>{words.challengeText}</p>
          <Widget script={script} siteKey={siteKey} onAnswer={resolve} onError={fail} />
        </Dialog>,
        place,
      )
    })
  } finally {
    render(null, place)
    place.remove()
  }
}

function Widget({
  script,
  siteKey,
  onAnswer,
  onError,
}: {
  script: Turnstile
  siteKey: string
  onAnswer(answer: string): void
  onError(): void
}) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!box.current) return undefined
    const widget = script.render(box.current, {
      sitekey: siteKey,
      callback: onAnswer,
      'error-callback': onError,
    })
    return () => script.remove(widget)
  }, [])
  return <div ref={box} />
}
