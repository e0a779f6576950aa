import { useState } from 'preact/hooks'
import { words } from './words.ts'

/** A text to be taken elsewhere, such as a key, with a button that copies it. */
export function Copy({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <div class="copy">
      <code>{text}</code>
      <button
        type="button"
        class="quiet"
        aria-label={`${words.copy}: ${label}`}
        onClick={async () => {
          await navigator.clipboard.writeText(text)
          setCopied(true)
        }}
      >
        {copied ? words.copied : words.copy}
      </button>
      <span role="status" class="hidden">
        {copied && words.copied}
      </span>
    </div>
  )
}
