/** `report`: results as text for a terminal. */
export { confusionMatrix, drawConfusion } from "./confusion.ts";
export { drawPicture, type GreyPicture, sideBySide } from "./picture.ts";
