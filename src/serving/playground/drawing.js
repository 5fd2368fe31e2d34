// One request for pictures: as events with previews where the server has them, else in one piece.
import { ask, jsonEvents } from "./api.js";

const kPreviews = 3;

/** The bytes of a picture that came as base64. */
export function pictureOf(base64, type = "image/png") {
  const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  return new Blob([bytes], { type });
}

/** `onPreview` hears {picture, step, steps} while it is drawn. Gives {pictures, seed, size}. */
export async function drawPictures(request, signal, onPreview) {
  const body = { ...request, stream: true, partial_images: kPreviews };
  const answer = await ask("POST", "v1/images/generations", body, signal);
  if (!answer.headers.get("Content-Type").startsWith("text/event-stream")) return whole(await answer.json());
  const made = { pictures: [], seed: undefined, size: undefined };
  for await (const { type, data } of jsonEvents(answer)) {
    if (type.endsWith("partial_image")) {
      onPreview({ picture: pictureOf(data.b64_json), step: data.step, steps: data.steps });
    } else if (data.b64_json) {
      made.pictures.push(pictureOf(data.b64_json));
      made.seed ??= data.seed;
      made.size ??= data.size;
    }
  }
  return made;
}

function whole({ data, seed, size }) {
  return { pictures: data.map((one) => pictureOf(one.b64_json)), seed, size };
}
